#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8';

// The space where JavaScript makes its objects would grow to 32 MiB while graphs are built, and stay: as much as a small network takes to train.
setFlagsFromString('--semi-space-growth-factor=1');

const { main } = await import('../dist/cli/main.js');
await main();
