/** Serves the page, and builds it. */
import { defineConfig } from 'vite';

/** What a page needs for WebAssembly on several threads. */
const headers = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

export default defineConfig({
  root: import.meta.dirname,
  server: { headers },
  preview: { headers },
  worker: { format: 'es' },
  // Known from the start: where the server finds dependencies later, it reloads the page.
  optimizeDeps: { include: ['onnx-proto', 'zod'], exclude: ['onnxruntime-web'] },
});
