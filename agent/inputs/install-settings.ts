/** Settings of `cali-node --install-cni` (docs/configuration.md). */
import path from 'node:path';
import type { InstallOptions } from '../../cni/install.ts';
import { type Environment, Variables } from '../../lib/variables.ts';

/** Throws CodedError CONFIG with a sentence that names the variable. */
export function readInstallSettings(environment: Environment): InstallOptions {
  const variables = new Variables(environment);
  const folder = (name: string, fallback: string) =>
    variables.parsed(
      name,
      (text) => (path.isAbsolute(text) ? text : undefined),
      'must be an absolute path',
    ) ?? fallback;
  const fileName = (text: string) => (/^[\w.-]+\.conflist$/.test(text) ? text : undefined);
  return {
    shim: folder('CALI_CNI_SHIM', '/opt/cali/bin/cali'),
    loopback: folder('CALI_CNI_LOOPBACK', '/opt/cali/bin/loopback'),
    binDirectory: folder('CNI_BIN_DIR', '/host/opt/cni/bin'),
    netDirectory: folder('CNI_NET_DIR', '/host/etc/cni/net.d'),
    configurationName:
      variables.parsed('CNI_CONF_NAME', fileName, 'must be a file name that ends in .conflist') ??
      '10-cali.conflist',
    mtu: variables.whole('CNI_MTU', 0, 0, 65535),
  };
}
