/** Pages that show runs. */
export { embeddedJson, escapeHtml } from './html.js';
export { type Page, renderPage } from './page.js';
export { REPORT, type ReportOptions, writeReport, type WrittenReport } from './report.js';
