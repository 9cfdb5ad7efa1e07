/** Names of a comparison's own files, beside which the folders of its recipes lie. */

export const SETTINGS = 'comparison-settings.json';
export const DOCUMENT = 'comparison.json';
export const MARKDOWN = 'comparison.md';
export const PAGE = 'comparison.html';
export const PLOT = 'comparison.svg';
/** Says which process works in the folder. */
export const LOCK = 'lock';

export const ownFiles: readonly string[] = [SETTINGS, DOCUMENT, MARKDOWN, PAGE, PLOT, LOCK];
