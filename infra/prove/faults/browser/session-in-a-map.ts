import '../kill/session-in-a-map.ts'
