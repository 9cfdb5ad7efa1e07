/** Whether somebody is still there, by the signs of life that come over a connection. While the connection itself is cut, nobody counts as lost. */
import type { ClusterConnection } from './connection.js';

export class Presence {
  private last = performance.now();

  constructor(
    private readonly connection: ClusterConnection,
    /** Milliseconds. */
    private readonly patience: number,
  ) {}

  seen(): void {
    this.last = performance.now();
  }

  /** To be asked more often than patience ends: only then is a cut noticed. */
  isLost(): boolean {
    if (this.connection.untilCut.aborted) this.seen();
    return performance.now() - this.last > this.patience;
  }
}
