/** Any GPU with a Vulkan, Metal or Direct3D 12 driver, by ONNX Runtime's WebGPU execution provider, which chooses the GPU itself. */
import { check } from '../calls.js';
import type { OrtLibrary } from '../library.js';
import { type DeviceProvider, type Findings, missingInBuild, tryLoad } from './provider.js';

const VULKAN = process.platform === 'linux' ? 'libvulkan.so.1' : null;

export const webgpu: DeviceProvider = {
  kind: 'webgpu',
  // All sessions share one device object, which ONNX Runtime does not guard against calls from two threads.
  oneThread: true,
  find: findWebGpu,
  explain: ({ message }) => ({
    // Before it stands the condition that failed, in C++.
    problem: `WebGPU finds no GPU (${message.replace(/^.* was false\. /, '')})`,
    remedy: 'install a Vulkan driver of the GPU; see what vulkaninfo says',
  }),
  append: (api, sessionOptions) =>
    check(api, api.SessionOptionsAppendExecutionProvider(sessionOptions, 'WebGPU', null, null, 0)),
};

/**
 * There is one device at most, and whether there is shows only when it is opened.
 * @param vulkan another name of the Vulkan loader, for tests; null where WebGPU needs none
 */
export function findWebGpu(library: OrtLibrary, vulkan: string | null = VULKAN): Findings {
  const missing = missingInBuild(
    library,
    'WebGpuExecutionProvider',
    'onnxruntime-node has it on linux-x64, Windows and macOS',
  );
  if (missing.length > 0) return { devices: [], missing };
  const loader = vulkan === null ? null : tryLoad(vulkan);
  if (typeof loader === 'string') {
    const problem = `the Vulkan loader ${vulkan} cannot be loaded (${loader})`;
    const remedy = 'install it (libvulkan1 in Debian) and a Vulkan driver of the GPU';
    return { devices: [], missing: [{ problem, remedy }] };
  }
  return { devices: [''], missing: [] };
}
