/*
 * Sends IP packets unchanged. "send-packet DEVICE HEX…" sends them on a link to the MAC address in TO_MAC, or by
 * default to the one that the host side of every pod's veth has. With DEVICE "-", this host sends them through a raw
 * socket, as IPVS and transparent proxies do. Exits with 0 if all packets were sent, or dropped by the host's own
 * output rules.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static unsigned char packet[65536];

static int send_on_link(const char *device, size_t length) {
  struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = ETH_ALEN};
  to.sll_protocol = htons(packet[0] >> 4 == 4 ? ETH_P_IP : ETH_P_IPV6);
  to.sll_ifindex = if_nametoindex(device);
  const char *mac = getenv("TO_MAC");
  unsigned char *a = to.sll_addr;
  if (sscanf(mac ? mac : "ee:ee:ee:ee:ee:ee", "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", a, a + 1, a + 2, a + 3, a + 4, a + 5) != 6)
    return -1;
  int fd = socket(AF_PACKET, SOCK_DGRAM, 0);
  return fd < 0 ? -1 : (int)sendto(fd, packet, length, 0, (struct sockaddr *)&to, sizeof to);
}

static int send_from_host(size_t length) {
  int on = 1;
  if (packet[0] >> 4 == 4) {
    struct sockaddr_in to = {.sin_family = AF_INET};
    memcpy(&to.sin_addr, packet + 16, 4);
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
    return fd < 0 ? -1 : (int)sendto(fd, packet, length, 0, (struct sockaddr *)&to, sizeof to);
  }
  struct sockaddr_in6 to = {.sin6_family = AF_INET6};
  memcpy(&to.sin6_addr, packet + 24, 16);
  int fd = socket(AF_INET6, SOCK_RAW, IPPROTO_RAW);
  if (fd < 0) return -1;
  setsockopt(fd, IPPROTO_IPV6, IPV6_HDRINCL, &on, sizeof on);
  return (int)sendto(fd, packet, length, 0, (struct sockaddr *)&to, sizeof to);
}

int main(int argc, char **argv) {
  for (int i = 2; i < argc; i++) {
    size_t length = strlen(argv[i]) / 2;
    for (size_t n = 0; n < length; n++)
      if (sscanf(argv[i] + 2 * n, "%2hhx", packet + n) != 1) return 2;
    int sent = strcmp(argv[1], "-") == 0 ? send_from_host(length) : send_on_link(argv[1], length);
    /* sendto on a raw socket fails when the host drops the packet. */
    if (sent < 0 && strcmp(argv[1], "-") != 0) {
      perror(argv[1]);
      return 1;
    }
  }
  return 0;
}
