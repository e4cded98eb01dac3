/**
 * The shape of saved device state: plain data that can be digested, written to a snapshot and
 * compared field by field. Numbers are safe integers or booleans' worth of information, never floats.
 */
export type StateValue = number | boolean | string | null | Uint8Array | readonly StateValue[] | StateRecord;
export interface StateRecord {
  readonly [field: string]: StateValue;
}
