/** What an engine can be told, and what opening one gives. */
import type { Manifest } from '../artifacts/index.js';
import type { RateTable } from '../artifacts/ort-training/index.js';
import type { Runtime } from '../runtime/runtime.js';
import type { LoweringChoice } from './choose-lowering.js';
import type { TrainEngine } from './engine.js';
import type { TraceEvent } from './orchestrator.js';

export const balanceNames = ['time', 'memory'] as const;

export interface EngineOptions {
  /** Default `sync`. */
  readonly schedule?: string;
  /** Of the schedule `async`: batches by which updates that wait for a relay are late. Default 0. */
  readonly delay?: number;
  /** Of the schedule `async`: groups of modules that run side by side. Default: as many as there are cores for, each with its threads. */
  readonly stages?: number;
  /** What stages have alike: `time`, measured on a few steps (default), or `memory`, that of the activations that modules keep. */
  readonly balance?: string;
  /** Default `auto`. */
  readonly lowering?: string;
  /** Default `cpu`. Under `async` also several, separated by commas: a stage is put on each. */
  readonly device?: string;
  /** Threads of ONNX Runtime; default: all cores; under `async`: of each stage, default 1. */
  readonly threads?: number;
  /** Images per step; default: the recipe's. */
  readonly batch?: number;
  /** Also compute gradients as outputs, for `StepRun.wantsGradients`. */
  readonly gradients?: boolean;
  /** An existing folder, to measure every node until `StepEngine.endProfile`; it writes files there meanwhile. Not under `async`. */
  readonly profileFolder?: string;
  /** Is told of each task of the schedule `async` when it has run. */
  readonly trace?: (event: TraceEvent) => void;
  /** Which of ONNX Runtime's interfaces trains: `sessions` (default) or `ort-training`, its training API. The lowering `ort-training` says the latter too. */
  readonly backend?: string | undefined;
  /** Of the training API: a shared library of ONNX Runtime 1.19.2 built with training. Default: the package onnxruntime-web-training. */
  readonly ortLibrary?: string | undefined;
  /** Of the training API: learning rates by epoch, for libraries that must know them ahead. Default: the recipe's, constant. */
  readonly rates?: RateTable;
  /** Takes a line on what was chosen, and why. */
  readonly note?: (line: string) => void;
}

export interface OpenEngine {
  readonly engine: TrainEngine;
  readonly manifest: Manifest;
  readonly runtime: Runtime;
  readonly lowering: LoweringChoice;
  /** What trains, where it is not `runtime`: the version of ONNX Runtime, in words, and its threads. */
  readonly trains?: { readonly onnxRuntime: string; readonly threads: number };
  /** Releases sessions, tensors and the runtime. */
  readonly dispose: () => void;
  /** Of an engine on several machines: makes it able to train again after a loss. The state is then to be loaded anew. */
  readonly recover?: (signal?: AbortSignal) => Promise<void>;
  /** Of such an engine: lets the other machines go and releases all; to be called before `dispose`. */
  readonly leave?: () => Promise<void>;
}
