/** The end of the process where ONNX Runtime's CUDA provider is loaded. */
import koffi from 'koffi';
import { environmentAlive } from './environment.js';

let wanted = false;

/**
 * Ends the process without the exit handlers of native libraries if ONNX Runtime's environment is still alive then. The CUDA provider's would use what has been
 * torn down before it, and crash.
 */
export function skipExitHandlers(): void {
  if (wanted || process.platform === 'win32') return;
  wanted = true;
  const end = koffi
    .load(process.platform === 'darwin' ? 'libSystem.dylib' : 'libc.so.6')
    .func('_exit', 'void', ['int']);
  process.on('exit', (code) => {
    if (environmentAlive()) end(code);
  });
}
