/** Numbers in words, for pages. */

/** With narrow spaces between thousands. */
export const countText = (value: number): string => String(value).replaceAll(/\B(?=(\d{3})+$)/g, '\u202f');

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function byteText(bytes: number): string {
  let unit = 0;
  for (; bytes >= 1024 && unit < BYTE_UNITS.length - 1; unit++) bytes /= 1024;
  return `${unit === 0 ? bytes : bytes.toPrecision(bytes < 1000 ? 3 : 4)} ${BYTE_UNITS[unit]}`;
}

/** A short time: `12.3 ms`, `1.23 s`. */
export const secondsText = (seconds: number): string =>
  seconds < 1 ? `${(1000 * seconds).toPrecision(3)} ms` : `${seconds.toPrecision(3)} s`;

/** A long time: `42 s`, `3 min 5 s`, `2 h 14 min`. */
export function durationText(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return seconds < 10 ? secondsText(seconds) : `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(whole / 60);
  return `${countText(Math.floor(minutes / 60))} h ${minutes % 60} min`;
}

/** ISO 8601 in UTC to the minute, as `2026-11-26 07:40 UTC`. */
export const dateText = (iso: string): string => iso.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d).*$/, '$1 $2 UTC');
