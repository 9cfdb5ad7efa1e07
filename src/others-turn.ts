/** Letting others have the thread for a moment, in Node and in browsers. */

/** Resolves once what waits for this thread has had its turn. */
export function othersTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else afterMessage(resolve);
  });
}

/** Browsers hold up a timer that another timer has set by 4 ms, but no message to oneself. */
function afterMessage(resolve: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.addEventListener('message', () => {
    port1.close();
    resolve();
  });
  port1.start();
  port2.postMessage(null);
}
