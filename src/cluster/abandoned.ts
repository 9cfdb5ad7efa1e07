/**
 * Streams of trainings that were killed and never resumed. Nothing needs them: a training that is resumed begins with streams of its own, from its last
 * checkpoint. But the server keeps their room reserved.
 */
import { HpffError } from '../errors.js';
import type { ClusterConnection } from './connection.js';
import { hear } from './control.js';
import { LOST_MILLISECONDS, presenceOf } from './protocol.js';
import { deleteEdges, listRuns } from './streams.js';
import { sleep } from './waiting.js';

/**
 * Removes the streams of all runs whose coordinator is not heard for so long that workers would count it as lost. Resolves at once where there are none but
 * those of `own`. A server that fails is left as it is.
 * @param note takes a line on what was removed
 * @throws InputError `SERVER_DENIED` to a user that may not even look, whom training would take no further; the signal's reason
 */
export async function removeAbandoned(
  connection: ClusterConnection,
  own: string,
  note: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  try {
    const others = (await listRuns(connection, signal)).filter((run) => run !== own);
    if (others.length === 0) return;
    const silent = await silentOnes(connection, others, signal);
    for (const run of silent) await deleteEdges(connection, run, undefined, signal);
    if (silent.length > 0) note(`removed the streams of trainings that nobody goes on with: ${silent.length}`);
  } catch (error) {
    if (!(error instanceof HpffError) || error.code === 'SERVER_DENIED' || signal?.aborted) throw error;
    note(`streams of other trainings were not looked for: ${error.message}`);
  }
}

/** Those of whose coordinators nothing is heard. */
async function silentOnes(
  connection: ClusterConnection,
  runs: readonly string[],
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const heard = new Set<string>();
  const listeners = runs.map((run) => hear(connection, presenceOf(run), () => void heard.add(run)));
  try {
    const cut = connection.untilCut;
    await sleep(LOST_MILLISECONDS, signal);
    // Whose signs a cut has swallowed is not known.
    return cut.aborted ? [] : runs.filter((run) => !heard.has(run));
  } finally {
    for (const listener of listeners) listener.close();
  }
}
