/** How `isthmus` is called from where this runs: `bin/isthmus` in a checkout, plainly from an installed package. */
export const binary = import.meta.url.endsWith('.js') ? 'isthmus' : 'bin/isthmus';

/** A command about a lab as a person types it; the default lab goes without its name. */
export function asTyped(words: string, lab: string): string {
  return `${binary} ${words}${lab === 'default' ? '' : ` --name ${lab}`}`;
}
