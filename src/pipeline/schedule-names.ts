/** The schedules by name. */

/** Schedules by which all modules advance together: what graphs are built for. */
export const stepScheduleNames = ['fused', 'sync'] as const;

export const scheduleNames = [...stepScheduleNames, 'async'] as const;

export type ScheduleName = (typeof scheduleNames)[number];
