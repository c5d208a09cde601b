export { type JournaledChange, readNote } from './note.ts';
export { JournalWriter } from './journal-writer.ts';
export { followJournal } from './follow-journal.ts';
