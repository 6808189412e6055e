/** What came after a command line. */
export const Block = {
  none: 0,
  /** The data are the request's last argument. */
  whole: 1,
  tooLarge: 2,
  /** As long as announced, and then no line end. */
  bad: 3,
} as const;
export type Block = (typeof Block)[keyof typeof Block];
