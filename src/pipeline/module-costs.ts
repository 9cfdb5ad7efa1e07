/** What the modules of a recipe cost, where no engine has all of them: found when stages are first made. */
import { buildSharedGraphs } from '../artifacts/index.js';
import { buildStep } from '../local/index.js';
import type { Lowering } from '../lower/index.js';
import type { Recipe } from '../recipe/types.js';
import type { Runtime } from '../runtime/runtime.js';
import { balance, measureModules, memoryCosts, type StageCosts } from './balance.js';
import type { Plan } from './engine-plan.js';
import { PipelineEngine } from './pipeline-engine.js';
import { collectGarbage } from './process-memory.js';

export class ModuleCosts {
  private known: Promise<StageCosts> | undefined;

  /** @param runtime what times are measured on */
  constructor(
    private readonly recipe: Recipe,
    private readonly runtime: Runtime,
    private readonly lowering: Lowering,
    private readonly plan: Pick<Plan, 'balance' | 'delay'>,
  ) {}

  /** @param stages at most as many as there are modules @returns indices of the modules of each */
  async arrange(stages: number): Promise<number[][]> {
    if (stages === 1) return balance(this.byMemory(), 1);
    this.known ??= this.plan.balance === 'memory' ? Promise.resolve(this.byMemory()) : this.measure();
    return balance(await this.known, stages);
  }

  private byMemory(): StageCosts {
    return memoryCosts(buildStep(this.recipe, this.recipe.data.batch), this.plan.delay);
  }

  private async measure(): Promise<StageCosts> {
    const { recipe, runtime } = this;
    const engine = await this.openPipeline();
    try {
      return await measureModules(engine, recipe);
    } finally {
      engine.dispose();
      collectGarbage();
      runtime.trim();
    }
  }

  /** The graphs are garbage when this returns. */
  private async openPipeline(): Promise<PipelineEngine> {
    const graphs = buildSharedGraphs(this.recipe, { lowering: this.lowering, schedules: ['sync'] });
    return PipelineEngine.create(this.runtime, graphs, { delay: 0 });
  }
}
