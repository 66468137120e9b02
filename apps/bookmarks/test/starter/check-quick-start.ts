export function checkQuickStart(
  output: string,
  report: (isTrue: boolean, what: string, otherwise?: string) => void,
): void {
  report(/"import":\{"id":"[\w-]+","status":"queued"/.test(output), 'the upload is queued', output)
  report(/"bookmarks":\[\{"id":/.test(output), 'the list has bookmarks', output)
  report(output.includes('<!DOCTYPE NETSCAPE-Bookmark-file-1>'), 'the export is a bookmark file', output)
}
