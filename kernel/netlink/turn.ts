/** Lets the event loop do other work between pieces of a long task. */

/** Resolves in the next turn of the event loop, after the input that has arrived. */
export type NextTurn = () => Promise<void>;

export const nextTurn: NextTurn = () =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });
