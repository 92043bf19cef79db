/*
 * cali: the CNI plugin that a container runtime executes. It carries the call to the agent on this node
 * and prints the answer; everything else is the agent's work (cni/plugin.ts). A Node process would cost
 * 55 ms per call, this costs 2.
 *
 *   to the agent     NAME=value NUL ... NUL standard-input, then shutdown
 *   from the agent   exit status, newline, standard output
 *
 * Socket: $CALI_CNI_SOCKET, else /var/run/cali/cni.sock. Build: cc -O2 -static -o cali cni/shim.c
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char *const names[] = {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME",
                                    "CNI_ARGS",    "CNI_PATH",        "CNI_NETNS_OVERRIDE"};

/* CNI code 11: the runtime tries again later. DEL must not be lost, ADD must not half happen. */
static int unavailable(const char *what, const char *path) {
  printf("{\"cniVersion\":\"1.0.0\",\"code\":11,\"msg\":\"cali-node does not answer on %s (%s): "
         "is the cali-node pod of this node running?\"}\n", path, what);
  return 1;
}

static int send_all(int fd, const char *bytes, size_t count) {
  while (count > 0) {
    ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
    if (sent <= 0) return -1;
    bytes += sent;
    count -= (size_t)sent;
  }
  return 0;
}

int main(void) {
  const char *path = getenv("CALI_CNI_SOCKET");
  if (!path || !*path) path = "/var/run/cali/cni.sock";
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return unavailable("path too long", path);
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) return unavailable("connect", path);

  char buffer[65536];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const char *value = getenv(names[i]);
    if (!value) continue;
    if (send_all(fd, names[i], strlen(names[i])) || send_all(fd, "=", 1) || send_all(fd, value, strlen(value) + 1))
      return unavailable("send", path);
  }
  if (send_all(fd, "", 1)) return unavailable("send", path);
  ssize_t count;
  while ((count = read(STDIN_FILENO, buffer, sizeof buffer)) > 0)
    if (send_all(fd, buffer, (size_t)count)) return unavailable("send", path);
  shutdown(fd, SHUT_WR);

  /* The status line first, then everything as it comes. */
  char status[16];
  size_t length = 0;
  while (length < sizeof status - 1) {
    if (read(fd, &status[length], 1) != 1) return unavailable("no answer", path);
    if (status[length] == '\n') break;
    length++;
  }
  status[length] = '\0';
  while ((count = read(fd, buffer, sizeof buffer)) > 0)
    if (fwrite(buffer, 1, (size_t)count, stdout) != (size_t)count) return 1;
  return fflush(stdout) == 0 ? atoi(status) : 1;
}
