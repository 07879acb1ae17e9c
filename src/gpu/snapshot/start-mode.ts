/** `snapshot`: restored wherever that works; `auto`: only where it was measured to be faster; `fresh`: never. */
export const START_MODES = ['auto', 'snapshot', 'fresh'] as const;
export type StartMode = (typeof START_MODES)[number];
