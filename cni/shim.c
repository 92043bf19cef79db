/*
 * cali: the CNI plugin that a container runtime executes. It forwards the call to the agent on this node and prints the
 * answer; the agent does the rest (cni/plugin.ts). A Node process would cost 55 ms per call, this one costs 2 ms.
 *
 *   to the agent     NAME=value NUL ... NUL standard-input, then shutdown
 *   from the agent   exit status, newline, standard output
 *
 * Socket: $CALI_CNI_SOCKET, else /var/run/cali/cni.sock. Build: cc -O2 -static -o cali cni/shim.c
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static const char *const names[] = {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME",
                                    "CNI_ARGS",    "CNI_PATH",        "CNI_NETNS_OVERRIDE"};

/* An answer is a few hundred bytes. A larger one than this counts as none. */
enum { MAX_ANSWER = 1 << 20, ANSWER_SECONDS = 240 };

/* Prints text inside a JSON string. Escapes quotes, backslashes and bytes that are not printable ASCII. */
static void print_escaped(const char *text) {
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') printf("\\%c", c);
    else if (c < 0x20 || c >= 0x7f) printf("\\u%04x", c);
    else putchar(c);
  }
}

/* CNI code 11: the runtime tries again later, so no DEL is lost and no ADD is left half done. */
static int unavailable(const char *what, const char *path) {
  printf("{\"cniVersion\":\"1.0.0\",\"code\":11,\"msg\":\"cali-node does not respond on ");
  print_escaped(path);
  printf(" (%s): is the cali-node pod on this node running?\"}\n", what);
  return 1;
}

static int send_all(int fd, const char *bytes, size_t count) {
  while (count > 0) {
    ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return -1;
    bytes += sent;
    count -= (size_t)sent;
  }
  return 0;
}

/* Reads to the end. Returns the number of bytes; -1 on an error or when they do not fit. */
static ssize_t read_all(int fd, char *bytes, size_t size) {
  size_t length = 0;
  for (;;) {
    if (length == size) return -1;
    ssize_t count = read(fd, bytes + length, size - length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    if (count == 0) return (ssize_t)length;
    length += (size_t)count;
  }
}

/* Parses the exit status before the newline: up to three digits. Returns -1 without one. */
static int status_of(const char *bytes, size_t length, size_t *start) {
  int status = 0;
  size_t at = 0;
  for (; at < length && at < 3 && bytes[at] >= '0' && bytes[at] <= '9'; at++) status = status * 10 + (bytes[at] - '0');
  if (at == 0 || at == length || bytes[at] != '\n' || status > 255) return -1;
  *start = at + 1;
  return status;
}

int main(void) {
  const char *path = getenv("CALI_CNI_SOCKET");
  if (!path || !*path) path = "/var/run/cali/cni.sock";
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return unavailable("path too long", path);
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) return unavailable("connect", path);
  struct timeval patience = {.tv_sec = ANSWER_SECONDS};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);

  static char buffer[MAX_ANSWER];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const char *value = getenv(names[i]);
    if (!value) continue;
    if (send_all(fd, names[i], strlen(names[i])) || send_all(fd, "=", 1) || send_all(fd, value, strlen(value) + 1))
      return unavailable("send", path);
  }
  if (send_all(fd, "", 1)) return unavailable("send", path);
  ssize_t count;
  while ((count = read(STDIN_FILENO, buffer, sizeof buffer)) != 0) {
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return unavailable("standard input", path);
    if (send_all(fd, buffer, (size_t)count)) return unavailable("send", path);
  }
  shutdown(fd, SHUT_WR);

  /* Read all of it before printing: half an answer would look like a result. */
  count = read_all(fd, buffer, sizeof buffer);
  if (count <= 0) return unavailable(count < 0 ? "response truncated or too long" : "no response", path);
  size_t start;
  int status = status_of(buffer, (size_t)count, &start);
  if (status < 0) return unavailable("response without a status", path);
  size_t length = (size_t)count - start;
  if (fwrite(buffer + start, 1, length, stdout) != length) return 1;
  return fflush(stdout) == 0 ? status : 1;
}
