package delivery

// parkedStreams is how many streams parked events are spread over. All pods must agree.
const parkedStreams = 16
