/*
 * Sends and receives raw packets for the hostile tests, in the network namespace in which it runs.
 *
 *   wire send IFACE MAC   each line of standard input is an IP packet in hex: sends it to that MAC address
 *   wire listen IFACE     prints each IP packet of the interface in hex, prefixed with "in" or "out"
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { LARGEST = 65536 };

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static struct sockaddr_ll interface_address(const char *name) {
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
  address.sll_ifindex = (int)if_nametoindex(name);
  if (address.sll_ifindex == 0) fail(name);
  return address;
}

static size_t read_hex(const char *text, unsigned char *bytes) {
  size_t length = 0;
  unsigned int value;
  for (; length < LARGEST && sscanf(text, "%2x", &value) == 1; text += 2) bytes[length++] = (unsigned char)value;
  return length;
}

static void send_packets(int fd, struct sockaddr_ll to, const char *mac) {
  static char line[2 * LARGEST + 2];
  static unsigned char packet[LARGEST];
  unsigned int octets[ETH_ALEN];
  if (sscanf(mac, "%x:%x:%x:%x:%x:%x", octets, octets + 1, octets + 2, octets + 3, octets + 4, octets + 5) != 6) fail(mac);
  to.sll_halen = ETH_ALEN;
  for (int i = 0; i < ETH_ALEN; i++) to.sll_addr[i] = (unsigned char)octets[i];
  while (fgets(line, sizeof line, stdin)) {
    size_t length = read_hex(line, packet);
    if (length == 0) continue;
    to.sll_protocol = htons(packet[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP);
    if (sendto(fd, packet, length, 0, (struct sockaddr *)&to, sizeof to) < 0) perror("sendto");
  }
}

static void listen_to(int fd, struct sockaddr_ll at) {
  static unsigned char packet[LARGEST];
  if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0) fail("bind");
  printf("listening\n");
  for (;;) {
    struct sockaddr_ll from;
    socklen_t size = sizeof from;
    fflush(stdout);
    ssize_t length = recvfrom(fd, packet, sizeof packet, 0, (struct sockaddr *)&from, &size);
    if (length < 0) fail("recvfrom");
    if (from.sll_protocol != htons(ETH_P_IP) && from.sll_protocol != htons(ETH_P_IPV6)) continue;
    printf("%s ", from.sll_pkttype == PACKET_OUTGOING ? "out" : "in");
    for (ssize_t i = 0; i < length; i++) printf("%02x", packet[i]);
    printf("\n");
  }
}

int main(int count, char **words) {
  int fd = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL));
  if (fd < 0) fail("socket");
  int receives = 4 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receives, sizeof receives);
  if (count == 4 && strcmp(words[1], "send") == 0) send_packets(fd, interface_address(words[2]), words[3]);
  else if (count == 3 && strcmp(words[1], "listen") == 0) listen_to(fd, interface_address(words[2]));
  else fail("usage: wire send IFACE MAC | wire listen IFACE");
  return 0;
}
