/** Warnings about variables FELIX_<NAME> whose parameter has no effect (datastore/schema/felix-without-effect.ts). */
import { felixConfigurationKind } from '../../datastore/schema/cluster.ts';
import { noticesOf } from '../../datastore/schema/without-effect.ts';

/** Returns a sentence for each such variable, unless its value asks for what Cali does anyway. */
export function environmentNotices(environment: Readonly<Record<string, string | undefined>>): string[] {
  return Object.keys(felixConfigurationKind.withoutEffect ?? {}).flatMap((name) => {
    const variable = `FELIX_${name.toUpperCase()}`;
    const text = environment[variable];
    if (text === undefined) return [];
    const value = { true: true, false: false }[text.toLowerCase()] ?? text;
    const spec = { [name]: /^\d+$/.test(text) ? Number(text) : value };
    return noticesOf(felixConfigurationKind, { spec }).map(({ message }) => `${variable} ${message}`);
  });
}
