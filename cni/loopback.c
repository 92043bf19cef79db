/*
 * loopback: the CNI plugin that containerd and CRI-O run before a pod's network to set `lo` up. Nodes usually have it
 * from the CNI project's package. Without it no pod starts, so Cali installs this one when it is missing
 * (cni/install.ts). Like the project's plugin, it ignores CNI_IFNAME, and DEL succeeds without the namespace.
 *
 * Build: cc -Os -static -o loopback cni/loopback.c
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Lets cni/install.ts recognize a file as ours and replace it. */
__attribute__((used)) static const char mark[] = "cali-loopback-plugin";

enum { MAX_CONFIGURATION = 1 << 16 };
static char version[16] = "1.0.0";
static const char *const supported[] = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};
enum { SUPPORTED = sizeof supported / sizeof *supported };

/* Reads the configuration's cniVersion (digits and dots only), which each answer repeats. */
static void read_version(void) {
  static char text[MAX_CONFIGURATION];
  size_t length = 0;
  for (;;) {
    ssize_t count = read(STDIN_FILENO, text + length, sizeof text - 1 - length);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    length += (size_t)count;
  }
  const char *key = strstr(text, "\"cniVersion\"");
  const char *colon = key ? strchr(key, ':') : NULL;
  char found[sizeof version];
  if (colon && sscanf(colon, ": \"%15[0-9.]\"", found) == 1) strcpy(version, found);
}

static int fail(int code, const char *what) {
  printf("{\"cniVersion\":\"%s\",\"code\":%d,\"msg\":\"loopback: %s: %s\"}\n", version, code, what, strerror(errno));
  return 1;
}

static int is_supported(void) {
  for (int i = 0; i < SUPPORTED; i++)
    if (strcmp(version, supported[i]) == 0) return 1;
  return 0;
}

static void print_versions(void) {
  printf("{\"cniVersion\":\"%s\",\"supportedVersions\":[", version);
  for (int i = 0; i < SUPPORTED; i++) printf("%s\"%s\"", i ? "," : "", supported[i]);
  printf("]}\n");
}

/* Whether this process's network namespace has an IPv6 address. */
static int has_ipv6(void) {
  FILE *file = fopen("/proc/thread-self/net/if_inet6", "r");
  if (!file) return 0;
  int first = fgetc(file);
  fclose(file);
  return first != EOF;
}

static void print_result(const char *netns) {
  /* Before 1.0.0 each address named its family. */
  int is_old = version[0] == '0';
  printf("{\"cniVersion\":\"%s\",\"interfaces\":[{\"name\":\"lo\",\"mac\":\"00:00:00:00:00:00\",\"sandbox\":\"", version);
  for (const char *c = netns; *c; c++)
    if (*c >= 0x20 && *c < 0x7f && *c != '"' && *c != '\\') putchar(*c);
  printf("\"}],\"ips\":[{%s\"interface\":0,\"address\":\"127.0.0.1/8\"}", is_old ? "\"version\":\"4\"," : "");
  if (has_ipv6()) printf(",{%s\"interface\":0,\"address\":\"::1/128\"}", is_old ? "\"version\":\"6\"," : "");
  printf("],\"dns\":{}}\n");
}

int main(void) {
  const char *command = getenv("CNI_COMMAND");
  const char *netns = getenv("CNI_NETNS");
  if (!command) command = "";
  read_version();
  if (strcmp(command, "VERSION") == 0) {
    print_versions();
    return 0;
  }
  int is_add = strcmp(command, "ADD") == 0;
  if (!is_add && strcmp(command, "CHECK") != 0) return 0;
  if (!is_supported()) {
    printf("{\"cniVersion\":\"1.0.0\",\"code\":1,\"msg\":\"loopback: cniVersion %s is not supported\"}\n", version);
    return 1;
  }
  int namespace = netns ? open(netns, O_RDONLY | O_CLOEXEC) : (errno = EINVAL, -1);
  if (namespace < 0) return fail(4, "CNI_NETNS");
  if (setns(namespace, CLONE_NEWNET) != 0) return fail(4, "setns");
  int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq request = {.ifr_name = "lo"};
  if (control < 0 || ioctl(control, SIOCGIFFLAGS, &request) != 0) return fail(5, "lo");
  if (!is_add) return request.ifr_flags & IFF_UP ? 0 : (errno = ENETDOWN, fail(5, "lo"));
  request.ifr_flags |= IFF_UP;
  if (ioctl(control, SIOCSIFFLAGS, &request) != 0) return fail(5, "lo");
  print_result(netns);
  return 0;
}
