/** Protocol numbers of routes (`ip route … proto N`) that no setting may give to Cali's routes to pods. */

/** Numbers that the kernel, the operator and the host's network configuration use. Source: linux/rtnetlink.h. */
export const hostProtocols: ReadonlyMap<number, string> = new Map([
  [0, 'unspec'],
  [1, 'redirect'],
  [2, 'kernel'],
  [3, 'boot'],
  [4, 'static'],
  [9, 'ra'],
  [16, 'dhcp'],
]);

/** Cali's number of routes that BGP peers announced, unless CALI_BGP_ROUTE_PROTOCOL sets another. */
export const BGP_PROTOCOL = 162;
