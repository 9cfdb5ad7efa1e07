/**
 * How many native calls may be in the background at once. They share libuv's threads with files and compression, so one
 * thread is left to those; koffi itself would throw at 256 waiting calls.
 */
import PQueue from 'p-queue';

/** libuv's own default. */
const DEFAULT_POOL = 4;

const pool = Number(process.env['UV_THREADPOOL_SIZE']) || DEFAULT_POOL;

/** Background calls of the whole process, in the order in which they were asked for. */
export const background = new PQueue({ concurrency: Math.max(1, pool - 1) });
