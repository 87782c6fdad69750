/** The version of this build, compared when an agent joins: a major apart is refused, a minor apart is a warning. */
export const VERSION = '0.1.0';
