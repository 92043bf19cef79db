/*
 * Load generator for BGP speakers: many sessions from 127.1.0.0/16 to one speaker, one thread, epoll. It is cheap,
 * so that the results reflect the speaker. Results are lines of JSON on standard output.
 *
 *   load reflector PORT CLIENTS PREFIXES CHURN_SECONDS PID...   clients announce to each other
 *   load table PORT RECEIVERS PREFIXES PID...                   one sender, generated prefixes, 10 per attribute set
 *   load stream PORT RECEIVERS FILE PID...                      one sender, recorded messages
 *   load soak PORT RECEIVERS FILE SECONDS PID...                announces and withdraws the same messages repeatedly,
 *                                                               with a hold time of 9 s: no session may be lost
 *
 * PIDs are the speaker's processes: the results include their CPU time and memory. Prefix number n is the /24 at
 * 32.0.0.0 + n * 256, or a /32 from n = 2^20 on; the version of a route is its MED.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { OPEN = 1, UPDATE = 2, NOTIFICATION = 3, KEEPALIVE = 4, REFRESH = 5 };
enum { AS = 64512, BUFFER = 1 << 18, TIMEOUT_S = 120, REFRESH_S = 15, CONNECT_GAP_US = 2000, MOST_PENDING = 5 };

typedef struct {
  int fd, up, has_announced, has_eor;
  uint8_t *in;
  int in_length;
  uint8_t *out; /* octets that the speaker has not read yet */
  size_t out_length, out_at;
  uint8_t *have;  /* version of each prefix; 0: none */
  uint64_t *seen; /* table and stream mode: one bit per prefix */
  long reached;   /* prefixes at the wanted version, or seen */
  long announced; /* prefixes announced to it, repeated ones included */
  double last;
} client_t;

static client_t *clients;
static int n_clients, n_prefixes, port, epoll_fd, n_pids, pids[16];
static int mode_table, mode_stream, is_soaking;
static int hold = 240;          /* seconds */
static double longest_silence;  /* seconds between two messages to one client */
static uint64_t *keys;          /* stream mode: hash set of prefixes */
static uint32_t *ordinals;      /* and the number of each prefix */
static uint32_t n_keys;
static uint8_t wanted;           /* version that every client waits for; 0: withdrawn */
static int ignored = -1;         /* client whose prefixes do not count */
static double *sent_at;          /* latency: when the change of a prefix was sent */
static long histogram[1 << 16];  /* latency in 10 us */
static long samples;
static int is_measuring;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* --- cost of the speaker --- */

static double speaker_cpu(void) {
  double sum = 0;
  for (int i = 0; i < n_pids; i++) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pids[i]);
    FILE *f = fopen(path, "r");
    if (!f) continue;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    char *rest = strrchr(text, ')');
    long user = 0, system = 0;
    if (rest) sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &system);
    sum += (double)(user + system) / sysconf(_SC_CLK_TCK);
  }
  return sum;
}

static double speaker_peak_mb(void) {
  double sum = 0;
  for (int i = 0; i < n_pids; i++) {
    char path[64], line[256];
    long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pids[i]);
    FILE *f = fopen(path, "r");
    if (!f) continue;
    while (fgets(line, sizeof line, f)) if (sscanf(line, "VmHWM: %ld", &kb) == 1) break;
    fclose(f);
    sum += kb / 1024.0;
  }
  return sum;
}

static double own_cpu(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

typedef struct { double wall, cpu, own; } mark_t;

static mark_t mark(void) { return (mark_t){now(), speaker_cpu(), own_cpu()}; }

static void report(const char *phase, mark_t from, double end) {
  printf("{\"phase\":\"%s\",\"wall\":%.5f,\"cpu\":%.3f,\"generator\":%.3f,\"peakMb\":%.1f}\n", phase, end - from.wall,
         speaker_cpu() - from.cpu, own_cpu() - from.own, speaker_peak_mb());
  fflush(stdout);
}

/* --- messages --- */

static int header(uint8_t *m, int length, int type) {
  memset(m, 0xff, 16);
  m[16] = length >> 8;
  m[17] = length & 255;
  m[18] = type;
  return length;
}

static uint8_t *put32(uint8_t *p, uint32_t v) {
  p[0] = v >> 24; p[1] = v >> 16; p[2] = v >> 8; p[3] = v;
  return p + 4;
}

static uint32_t address_of(long n) { return n < (1 << 20) ? 0x20000000u + ((uint32_t)n << 8) : 0x40000000u + (uint32_t)(n - (1 << 20)); }

static int write_prefix(uint8_t *p, long n) {
  uint32_t a = address_of(n);
  p[0] = n < (1 << 20) ? 24 : 32;
  p[1] = a >> 24; p[2] = a >> 16; p[3] = a >> 8;
  if (p[0] == 24) return 4;
  p[4] = a;
  return 5;
}

static long number_of(const uint8_t *p) {
  uint32_t a = (uint32_t)p[1] << 24 | p[2] << 16 | p[3] << 8;
  if (p[0] == 24) return (a - 0x20000000u) >> 8;
  if (p[0] == 32) return (long)((a | p[4]) - 0x40000000u) + (1 << 20);
  return -1;
}

/* Attributes: ORIGIN, AS_PATH of `path` ASs, NEXT_HOP, MED, LOCAL_PREF, two communities. */
static int write_attributes(uint8_t *a, int next_hop, uint32_t med, int path, uint32_t set) {
  uint8_t *p = a;
  memcpy(p, "\x40\x01\x01\x00", 4); p += 4;
  *p++ = 0x40; *p++ = 2; *p++ = path ? 2 + 4 * path : 0;
  if (path) {
    *p++ = 2; *p++ = path;
    for (int i = 0; i < path; i++) p = put32(p, 100000 + (set * 2654435761u >> (8 + i)) % 60000);
  }
  memcpy(p, "\x40\x03\x04", 3); p = put32(p + 3, 0x0afe0001u + next_hop);
  memcpy(p, "\x80\x04\x04", 3); p = put32(p + 3, med);
  memcpy(p, "\x40\x05\x04", 3); p = put32(p + 3, 100);
  if (path) {
    memcpy(p, "\xc0\x08\x08", 3);
    p = put32(p + 3, 65000u << 16 | (set & 0xffff));
    p = put32(p, 65001u << 16 | (set >> 16));
  }
  return p - a;
}

static int write_update(uint8_t *m, int next_hop, uint32_t med, int path, uint32_t set, long first, int count) {
  uint8_t *p = m + 23;
  int length = write_attributes(p, next_hop, med, path, set);
  p += length;
  for (int i = 0; i < count; i++) p += write_prefix(p, first + i);
  m[19] = m[20] = 0;
  m[21] = length >> 8; m[22] = length & 255;
  return header(m, p - m, UPDATE);
}

static int write_withdrawal(uint8_t *m, long first, int count) {
  uint8_t *p = m + 21;
  for (int i = 0; i < count; i++) p += write_prefix(p, first + i);
  m[19] = (p - m - 21) >> 8; m[20] = (p - m - 21) & 255;
  *p++ = 0; *p++ = 0;
  return header(m, p - m, UPDATE);
}

static void flush_client(client_t *c) {
  while (c->out_at < c->out_length) {
    ssize_t n = send(c->fd, c->out + c->out_at, c->out_length - c->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
      if (errno != EAGAIN) die("send");
      struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.u32 = c - clients};
      epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
      return;
    }
    c->out_at += n;
  }
  if (c->out_length) {
    c->out_at = c->out_length = 0;
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = c - clients};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
  }
}

static void queue(client_t *c, const uint8_t *bytes, size_t length) {
  c->out = realloc(c->out, c->out_length + length);
  memcpy(c->out + c->out_length, bytes, length);
  c->out_length += length;
}

static void send_now(client_t *c, const uint8_t *bytes, size_t length) {
  if (c->out_length == 0) {
    ssize_t n = send(c->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n == (ssize_t)length) return;
    if (n > 0) { bytes += n; length -= n; }
  }
  queue(c, bytes, length);
  flush_client(c);
}

static void send_open(client_t *c) {
  static const uint8_t capabilities[] = {1, 4, 0, 1, 0, 1, 2, 0, 65, 4, 0, 0, AS >> 8, AS & 255};
  uint8_t m[64];
  m[19] = 4; m[20] = AS >> 8; m[21] = AS & 255; m[22] = hold >> 8; m[23] = hold & 255;
  put32(m + 24, 0x0a010001u + (c - clients));
  m[28] = 2 + sizeof capabilities; m[29] = 2; m[30] = sizeof capabilities;
  memcpy(m + 31, capabilities, sizeof capabilities);
  send_now(c, m, header(m, 31 + sizeof capabilities, OPEN));
}

static void announce(client_t *c, int version) {
  uint8_t m[4096];
  int i = c - clients;
  send_now(c, m, write_update(m, i, version, 0, 0, (long)i * n_prefixes, n_prefixes));
}

/* --- receiving --- */

enum { SLOTS = 1 << 22 };

static uint32_t ordinal_of(const uint8_t *prefix) {
  uint64_t key = 1;
  for (int i = 0; i <= (prefix[0] + 7) / 8; i++) key = key * 257 + prefix[i];
  uint64_t slot = key * 0x9e3779b97f4a7c15ull >> 42;
  while (keys[slot] && keys[slot] != key) slot = (slot + 1) & (SLOTS - 1);
  if (!keys[slot]) { keys[slot] = key; ordinals[slot] = n_keys++; }
  return ordinals[slot];
}

static void note(client_t *c, const uint8_t *prefix, int version, double t) {
  /* Withdrawals are sent to the announcing client as well. */
  if (is_soaking && c == clients) return;
  if (mode_stream) {
    uint32_t n = ordinal_of(prefix);
    uint64_t bit = 1ull << (n & 63), *word = &c->seen[n >> 6];
    if (!version == !(*word & bit)) return;
    *word ^= bit;
    c->reached += version ? 1 : -1;
    return;
  }
  long n = number_of(prefix);
  if (n < 0) return;
  c->announced++;
  if (mode_table) {
    if (!(c->seen[n >> 6] >> (n & 63) & 1)) { c->seen[n >> 6] |= 1ull << (n & 63); c->reached++; }
    return;
  }
  int owner = n / n_prefixes;
  if (owner == c - clients || owner == ignored) return;
  if (is_measuring) {
    if (sent_at[n] == 0) return;
    long bucket = (t - sent_at[n]) * 1e5;
    histogram[bucket < 0 ? 0 : bucket > 65535 ? 65535 : bucket]++;
    samples++;
    c->have[n] = version;
    return;
  }
  if (c->have[n] == version) return;
  if (c->have[n] == wanted) c->reached--;
  if (version == wanted) c->reached++;
  c->have[n] = version;
}

static void receive_update(client_t *c, const uint8_t *m, int length, double t) {
  const uint8_t *p = m + 19, *end = m + length;
  int withdrawn = p[0] << 8 | p[1];
  p += 2;
  for (const uint8_t *last = p + withdrawn; p < last; p += 1 + (p[0] + 7) / 8) if (!mode_table) note(c, p, 0, t);
  int attributes = p[0] << 8 | p[1];
  p += 2;
  if (withdrawn == 0 && attributes == 0) { c->has_eor = 1; return; }
  int version = 1;
  for (const uint8_t *last = p + attributes; p < last;) {
    int is_long = p[0] & 0x10, size = is_long ? p[2] << 8 | p[3] : p[2];
    const uint8_t *value = p + (is_long ? 4 : 3);
    if (p[1] == 4) version = value[3];
    p = value + size;
  }
  /* In a recorded table, the MED does not hold a version. */
  for (; p < end; p += 1 + (p[0] + 7) / 8) note(c, p, mode_stream ? 1 : version, t);
}

static void receive(client_t *c, double t) {
  for (;;) {
    ssize_t n = recv(c->fd, c->in + c->in_length, BUFFER - c->in_length, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) { fprintf(stderr, "load: client %ld lost its session\n", (long)(c - clients)); exit(2); }
    c->in_length += n;
    if (c->last && t - c->last > longest_silence) longest_silence = t - c->last;
    c->last = t;
    int at = 0;
    while (c->in_length - at >= 19) {
      uint8_t *m = c->in + at;
      int length = m[16] << 8 | m[17];
      if (c->in_length - at < length) break;
      if (m[18] == UPDATE) receive_update(c, m, length, t);
      else if (m[18] == OPEN) { uint8_t k[19]; send_now(c, k, header(k, 19, KEEPALIVE)); }
      else if (m[18] == KEEPALIVE) c->up = 1;
      else if (m[18] == NOTIFICATION) { fprintf(stderr, "load: NOTIFICATION %d/%d\n", m[19], m[20]); exit(2); }
      at += length;
    }
    memmove(c->in, c->in + at, c->in_length - at);
    c->in_length -= at;
    /* With a short hold time, one client must not block the others until all its data is read. */
    if (n < 1024 || hold < 30) return;
  }
}

static void keep_alive(void) {
  static double last;
  if (now() - last < hold / 12.0) return;
  last = now();
  uint8_t k[19];
  header(k, 19, KEEPALIVE);
  for (int i = 0; i < n_clients; i++) if (clients[i].fd >= 0 && clients[i].up && !clients[i].out_length) send_now(&clients[i], k, 19);
}

static void poll_once(int timeout_ms) {
  static struct epoll_event events[1024];
  int n = epoll_wait(epoll_fd, events, 1024, timeout_ms);
  double t = now();
  for (int i = 0; i < n; i++) {
    client_t *c = &clients[events[i].data.u32];
    if (c->fd < 0) continue;
    if (events[i].events & EPOLLOUT) flush_client(c);
    if (events[i].events & (EPOLLIN | EPOLLHUP)) receive(c, hold < 30 ? now() : t);
    if (hold < 30) keep_alive();
  }
  keep_alive();
}

/* Waits until `done` is true for every client. Returns -1 after `limit` seconds. */
static double wait_within(int (*done)(client_t *), const char *what, double limit) {
  double start = now();
  int next = 0;
  for (;;) {
    while (next < n_clients && (clients[next].fd < 0 || done(&clients[next]))) next++;
    if (next == n_clients) return now();
    poll_once(100);
    if (now() - start > limit) {
      fprintf(stderr, "load: %s: client %d has %ld after %.0f s\n", what, next, clients[next].reached, limit);
      return -1;
    }
  }
}

static double wait_for(int (*done)(client_t *), const char *what) {
  double end = wait_within(done, what, TIMEOUT_S);
  if (end < 0) exit(3);
  return end;
}

static int is_up(client_t *c) { return c->up; }

static long all_foreign;
static int has_all(client_t *c) { return c->reached >= all_foreign; }

static void settle(double seconds) {
  for (double end = now() + seconds; now() < end;) poll_once(20);
}

static void connect_client(client_t *c) {
  int i = c - clients, one = 1, big = 1 << 20;
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  c->up = c->in_length = 0;
  c->out_length = c->out_at = 0;
  struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010001u + (i / 250) * 256 + i % 250)};
  struct sockaddr_in remote = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(0x7f000001u)};
  setsockopt(c->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (bind(c->fd, (void *)&local, sizeof local)) die("bind");
  if (connect(c->fd, (void *)&remote, sizeof remote)) die("connect");
  struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
  if (!c->in) c->in = malloc(BUFFER);
  send_open(c);
}

static void want(int version) {
  wanted = version;
  for (int i = 0; i < n_clients; i++) {
    clients[i].reached = 0;
    for (long n = 0; n < (long)n_clients * n_prefixes; n++)
      if (n / n_prefixes != i && n / n_prefixes != ignored && clients[i].have[n] == version) clients[i].reached++;
  }
}

/* --- reflector --- */

static void everyone(int version, const char *phase) {
  want(version);
  mark_t start = mark();
  for (int i = 0; i < n_clients; i++) announce(&clients[i], version);
  report(phase, start, wait_for(has_all, phase));
}

static void refresh_phase(void) {
  uint8_t m[23];
  m[19] = 0; m[20] = 1; m[21] = 0; m[22] = 1;
  header(m, 23, REFRESH);
  for (int i = 0; i < n_clients; i++) memset(clients[i].have, 0, (size_t)n_clients * n_prefixes);
  want(wanted);
  mark_t start = mark();
  for (int i = 0; i < n_clients; i++) send_now(&clients[i], m, 23);
  double end = wait_within(has_all, "refresh", REFRESH_S);
  /* Speakers that do not answer a refresh have no result for it. */
  if (end >= 0) report("refresh", start, end);
}

static double percentile(double share) {
  long left = samples * share;
  for (int i = 0; i < 65536; i++) if ((left -= histogram[i]) < 0) return (i + 0.5) / 100;
  return 655.36;
}

static void report_latency(const char *phase, mark_t from) {
  printf("{\"phase\":\"%s\",\"p50Ms\":%.2f,\"p99Ms\":%.2f,\"samples\":%ld,\"wall\":%.3f,\"cpu\":%.3f,\"generator\":%.3f}\n", phase,
         percentile(0.5), percentile(0.99), samples, now() - from.wall, speaker_cpu() - from.cpu, own_cpu() - from.own);
  fflush(stdout);
}

static void change_one(long n, int version) {
  uint8_t m[256];
  client_t *c = &clients[n / n_prefixes];
  sent_at[n] = now();
  send_now(c, m, write_update(m, n / n_prefixes, version, 0, 0, n, 1));
}

static void latency_phase(void) {
  memset(histogram, 0, sizeof histogram);
  samples = 0;
  is_measuring = 1;
  mark_t start = mark();
  for (int round = 0; round < 40; round++) {
    long before = samples;
    change_one((long)(round * 7 % n_clients) * n_prefixes, 100 + round);
    for (double end = now() + 2; samples - before < n_clients - 1 && now() < end;) poll_once(50);
    settle(0.05);
  }
  report_latency("one change", start);
  is_measuring = 0;
}

static void churn_phase(int seconds) {
  long total = (long)n_clients * n_prefixes, changes = 0, at = 0;
  memset(histogram, 0, sizeof histogram);
  samples = 0;
  is_measuring = 1;
  mark_t start = mark();
  for (double t; (t = now() - start.wall) < seconds;) {
    for (; changes < (long)(t * 1000); changes++) {
      /* 251 is prime, so each prefix gets another version in the next round; otherwise nothing would change. */
      change_one(at, 1 + changes % 251);
      at = (at + n_prefixes + 1) % total;
    }
    poll_once(1);
  }
  settle(1);
  report_latency("churn", start);
  is_measuring = 0;
}

/* Lets each client announce that has a session and has not announced yet. */
static int announce_new(void) {
  int count = 0;
  for (int i = 0; i < n_clients; i++) {
    if (!clients[i].up || clients[i].has_announced) continue;
    clients[i].has_announced = 1;
    announce(&clients[i], 1);
    count++;
  }
  return count;
}

static void reflector(int churn_seconds) {
  long total = (long)n_clients * n_prefixes;
  sent_at = calloc(total, sizeof *sent_at);
  for (int i = 0; i < n_clients; i++) clients[i].have = calloc(total, 1);
  all_foreign = total - n_prefixes;
  wanted = 1;
  mark_t first = mark();
  int announced = 0;
  for (int i = 0; i < n_clients; i++) {
    connect_client(&clients[i]);
    for (double end = now() + CONNECT_GAP_US / 1e6; now() < end;) poll_once(1);
    announced += announce_new();
    /* Some speakers listen with a backlog of 8. Beyond it, this would measure TCP's retransmission, not BGP. */
    for (double end = now() + TIMEOUT_S; i + 1 - announced > MOST_PENDING && now() < end;) {
      poll_once(20);
      announced += announce_new();
    }
  }
  for (double end = now() + TIMEOUT_S; announced < n_clients;) {
    poll_once(50);
    announced += announce_new();
    if (now() > end) { fprintf(stderr, "load: %d of %d sessions up\n", announced, n_clients); exit(3); }
  }
  double last_up = now();
  double cpu_at_last = speaker_cpu(), own_at_last = own_cpu();
  double end = wait_for(has_all, "announce");
  report("from first connect", first, end);
  report("from last session up", (mark_t){last_up, cpu_at_last, own_at_last}, end);
  settle(0.5);
  /* All sessions are up: withdraw and announce everything at once. */
  uint8_t m[4096];
  want(0);
  mark_t start = mark();
  for (int i = 0; i < n_clients; i++) send_now(&clients[i], m, write_withdrawal(m, (long)i * n_prefixes, n_prefixes));
  report("withdraw", start, wait_for(has_all, "withdraw"));
  settle(0.5);
  everyone(2, "announce");
  settle(0.5);
  everyone(3, "update");
  settle(0.5);
  refresh_phase();
  settle(0.5);
  if (churn_seconds >= 0) latency_phase();
  if (churn_seconds > 0) churn_phase(churn_seconds);
  everyone(251, "settle");
  settle(0.3);
  /* One client disconnects: the others lose its prefixes. */
  want(251);
  for (int i = 0; i < n_clients; i++) clients[i].reached = all_foreign;
  ignored = -1;
  for (int i = 1; i < n_clients; i++) for (int k = 0; k < n_prefixes; k++) clients[i].have[k] = 251;
  wanted = 0;
  for (int i = 0; i < n_clients; i++) clients[i].reached = 0;
  all_foreign = n_prefixes;
  start = mark();
  struct linger hard = {1, 0};
  setsockopt(clients[0].fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close(clients[0].fd);
  clients[0].fd = -1;
  report("loss", start, wait_for(has_all, "loss"));
}

/* --- tables --- */

static void connect_all(void) {
  for (int i = 0; i < n_clients; i++) {
    connect_client(&clients[i]);
    settle(0.005);
  }
  wait_for(is_up, "sessions");
  settle(0.5);
}

static void send_all(client_t *c, uint8_t *bytes, size_t length) {
  c->out = bytes;
  c->out_length = length;
  c->out_at = 0;
  flush_client(c);
}

static void transfer(uint8_t *bytes, size_t length, const char *name) {
  connect_all();
  clients[0].reached = all_foreign;
  mark_t start = mark();
  send_all(&clients[0], bytes, length);
  double end = wait_for(has_all, name);
  settle(0.05);
  report(name, start, end);
}

static void table(void) {
  size_t words = n_prefixes / 64 + 1;
  for (int i = 0; i < n_clients; i++) clients[i].seen = calloc(words, 8);
  all_foreign = n_prefixes;
  uint8_t *bytes = malloc((size_t)n_prefixes / 10 * 160 + 4096), *p = bytes;
  for (long n = 0; n < n_prefixes; n += 10) p += write_update(p, 0, 1, 4, n / 10, n, n + 10 > n_prefixes ? n_prefixes - n : 10);
  transfer(bytes, p - bytes, "table");
}

/* Reads recorded messages and counts their prefixes with the same decoder. */
static uint8_t *read_stream(const char *file, size_t *length) {
  struct stat s;
  int fd = open(file, O_RDONLY);
  if (fd < 0 || fstat(fd, &s)) die(file);
  uint8_t *bytes = malloc(s.st_size);
  if (read(fd, bytes, s.st_size) != s.st_size) die(file);
  keys = calloc(SLOTS, sizeof *keys);
  ordinals = calloc(SLOTS, sizeof *ordinals);
  clients[0].seen = calloc(SLOTS / 64, 8);
  for (long at = 0; at < s.st_size; at += bytes[at + 16] << 8 | bytes[at + 17])
    if (bytes[at + 18] == UPDATE) receive_update(&clients[0], bytes + at, bytes[at + 16] << 8 | bytes[at + 17], 0);
  all_foreign = clients[0].reached;
  for (int i = 1; i < n_clients; i++) clients[i].seen = calloc(n_keys / 64 + 1, 8);
  *length = s.st_size;
  return bytes;
}

static void stream(const char *file) {
  size_t length;
  uint8_t *bytes = read_stream(file, &length);
  transfer(bytes, length, "stream");
}

/* --- soak --- */

/* Returns messages that withdraw all prefixes that these messages announce. */
static uint8_t *withdrawals(const uint8_t *bytes, size_t length, size_t *size) {
  uint8_t *out = malloc(length), *p = out;
  for (size_t at = 0; at < length; at += bytes[at + 16] << 8 | bytes[at + 17]) {
    if (bytes[at + 18] != UPDATE) continue;
    const uint8_t *m = bytes + at, *end = m + (m[16] << 8 | m[17]);
    const uint8_t *nlri = m + 21 + (m[19] << 8 | m[20]);
    nlri += 2 + (nlri[0] << 8 | nlri[1]);
    int count = end - nlri;
    if (count == 0) continue;
    memcpy(p + 21, nlri, count);
    p[19] = count >> 8; p[20] = count & 255;
    p[21 + count] = p[22 + count] = 0;
    p += header(p, 23 + count, UPDATE);
  }
  *size = p - out;
  return out;
}

static int has_none(client_t *c) { return c == &clients[0] || c->reached == 0; }

static void soak(const char *file, int seconds) {
  size_t length, size;
  uint8_t *bytes = read_stream(file, &length), *gone = withdrawals(bytes, length, &size);
  connect_all();
  clients[0].reached = all_foreign;
  is_soaking = 1;
  mark_t start = mark();
  int rounds = 0;
  for (double t = now(); now() - start.wall < seconds; t = now()) {
    int is_announcing = rounds++ % 2 == 0;
    uint8_t *copy = malloc(is_announcing ? length : size);
    memcpy(copy, is_announcing ? bytes : gone, is_announcing ? length : size);
    mark_t round = mark();
    send_all(&clients[0], copy, is_announcing ? length : size);
    double end = wait_within(is_announcing ? has_all : has_none, "round", 600);
    if (end < 0) exit(3);
    report(is_announcing ? "table announced" : "table withdrawn", round, end);
    while (clients[0].out_length) poll_once(20);
    free(copy);
    clients[0].out = NULL;
    for (double quiet = now() + 3; now() < quiet;) poll_once(20);
    fprintf(stderr, "load: round %d after %.0f s, longest silence %.1f s\n", rounds, t - start.wall, longest_silence);
  }
  report("soak", start, now());
  printf("{\"phase\":\"longest silence\",\"wall\":%.3f,\"cpu\":0,\"generator\":0}\n", longest_silence);
}

int main(int argc, char **argv) {
  if (argc < 5) return 64;
  const char *what = argv[1];
  int first_pid = 5;
  port = atoi(argv[2]);
  n_clients = atoi(argv[3]);
  mode_table = !strcmp(what, "table");
  int mode_soak = !strcmp(what, "soak");
  mode_stream = mode_soak || !strcmp(what, "stream");
  if (mode_soak) { hold = 9; first_pid = 6; }
  n_prefixes = mode_stream ? 0 : atoi(argv[4]);
  if (!mode_table && !mode_stream) first_pid = 6;
  else n_clients++;
  for (int i = first_pid; i < argc && n_pids < 16; i++) pids[n_pids++] = atoi(argv[i]);
  clients = calloc(n_clients, sizeof *clients);
  for (int i = 0; i < n_clients; i++) clients[i].fd = -1;
  epoll_fd = epoll_create1(0);
  if (mode_table) table();
  else if (mode_soak) soak(argv[4], atoi(argv[5]));
  else if (mode_stream) stream(argv[4]);
  else reflector(atoi(argv[5]));
  return 0;
}
