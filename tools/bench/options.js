/** Values of options, read strictly. */

/**
 * @param {string} name of the option
 * @param {string} text
 * @returns {number} a whole number from 1
 * @throws Error with one line for the user
 */
export function positive(name, text) {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new Error(`${name}: found '${text}', allowed: a whole number from 1`);
  return Number(text);
}
