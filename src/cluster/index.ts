/** Transport between machines over NATS with JetStream: tensors along the edges of a pipeline, and control messages. */
export { connectTo, type ClusterConnection, type ConnectOptions } from './connection.js';
export {
  createEdge,
  deleteEdges,
  edgeStream,
  listEdges,
  purgeEdge,
  type EdgeAddress,
  type EdgeOptions,
} from './streams.js';
export { EdgeWriter, type WriterOptions } from './edge-writer.js';
export { EdgeReader, type EdgeValue, type ReaderOptions } from './edge-reader.js';
export type { Encoding, TensorValue } from './tensor-message.js';
export {
  announce,
  answer,
  hear,
  request,
  type AnnouncementKind,
  type Listener,
  type ListenOptions,
  type RequestKind,
} from './control.js';
export { openCluster, type ClusterOptions } from './open-cluster.js';
export { work, type WorkerOptions } from './worker.js';
export { LostError } from './workforce.js';
