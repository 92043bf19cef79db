/** Applies changes to this network namespace with `ip -batch` and `bridge -batch`, in as few processes as possible. */
import { siftLines } from '../lib/exec.ts';
import { type ChangeError, type KernelChange, renderChange } from './change.ts';
import { codeOf } from './change-errors.ts';
import { BATCH, runBatch } from './ip-batch.ts';

/** Applies changes in order and returns those that failed. A failure does not stop the others. */
export async function applyChanges(changes: readonly KernelChange[]): Promise<ChangeError[]> {
  const errors: ChangeError[] = [];
  for (const group of byProgram(changes)) errors.push(...(await applyGroup(group)));
  return errors;
}

/** Consecutive changes that one program makes. */
function byProgram(changes: readonly KernelChange[]): KernelChange[][] {
  const groups: KernelChange[][] = [];
  let last: string | undefined;
  for (const change of changes) {
    const program = programOf(change);
    if (program === last) groups.at(-1)!.push(change);
    else groups.push([change]);
    last = program;
  }
  return groups;
}

function programOf({ object }: KernelChange): 'ip' | 'bridge' {
  return object === 'forwarding' ? 'bridge' : 'ip';
}

async function applyGroup(group: readonly KernelChange[]): Promise<ChangeError[]> {
  const texts = group.map(renderChange);
  const { plain, refused } = siftLines(texts);
  const messages = new Map(refused.map(({ line, reason }) => [line, `refused: ${reason}`]));
  const errors = plain.length === 0 ? [] : await runBatch(programOf(group[0]!), plain);
  for (const { command, message } of errors) messages.set(command, message);
  // An error of the whole batch concerns each change whose end is unknown.
  const common = messages.get(BATCH);
  return group.flatMap((change, i) => {
    const message = messages.get(texts[i]!) ?? common;
    return message === undefined ? [] : [{ change, code: codeOf(message), message }];
  });
}
