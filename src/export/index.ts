/** The inference model: exporting it, and loading it or any other image classifier. */
export { type Classifier, loadClassifier } from './load.js';
export { exportModel, metadataOf } from './model.js';
export { tolerance, type Verification, verifyExport } from './verify.js';
export { type ExportedFile, writeExport } from './write.js';
