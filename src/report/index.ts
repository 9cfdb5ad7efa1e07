/** Pages that show runs. */
export { embeddedJson, escapeHtml } from './html.js';
export { type Page, renderPage } from './page.js';
export { leaveReport, type ReportOptions, writeReport, type WrittenReport } from './report.js';
export { durationText } from './words.js';
