import type { CompareResult } from './transaction.ts';

/** Whether a comparison holds. @param difference sign of what is stored minus what the comparison names */
export function ordered(result: CompareResult, difference: number): boolean {
  switch (result) {
    case 'equal':
      return difference === 0;
    case 'not-equal':
      return difference !== 0;
    case 'greater':
      return difference > 0;
    case 'less':
      return difference < 0;
  }
}
