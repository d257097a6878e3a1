// A softphone of a browser without a browser: JsSIP over `ws`, without sound (its peer connection only
// says what one would say). Driven by lines on standard input, it tells what happens by lines on standard
// output.
//
// usage: node jssip.cjs MODULES WEBSOCKET-URL SIP-URI PASSWORD
// lines: register, call URI, hangup, quit

'use strict';
const { createRequire } = require('node:module');
const readline = require('node:readline');

const [modules, url, uri, password] = process.argv.slice(2);
const need = createRequire(`${modules}/`);
const JsSIP = need('jssip');
const WebSocket = need('ws');

const tell = (...words) => console.log('>>', ...words);
const sdp = (number, port) =>
  ['v=0', `o=- ${number} 1 IN IP4 127.0.0.1`, 's=-', 't=0 0', 'c=IN IP4 127.0.0.1', `m=audio ${port} RTP/AVP 0`, '']
    .join('\r\n');

globalThis.window = globalThis;

globalThis.WebSocket = WebSocket;

globalThis.RTCPeerConnection = class {
  iceGatheringState = 'complete';
  iceConnectionState = 'connected';
  signalingState = 'stable';
  localDescription = null;
  remoteDescription = null;
  addEventListener() {}
  removeEventListener() {}
  addTrack() {}
  getSenders() { return []; }
  getReceivers() { return []; }
  close() { this.signalingState = 'closed'; }
  createOffer() { return Promise.resolve({ type: 'offer', sdp: sdp(1, 4000) }); }
  createAnswer() { return Promise.resolve({ type: 'answer', sdp: sdp(2, 4002) }); }
  setLocalDescription(description) {
    this.localDescription = { ...description, toString() { return this.sdp; } };
    return Promise.resolve();
  }
  setRemoteDescription(description) { this.remoteDescription = description; return Promise.resolve(); }
};
globalThis.RTCSessionDescription = class {
  constructor(description) { Object.assign(this, description); }
};

const stream = { getTracks: () => [], getAudioTracks: () => [], getVideoTracks: () => [] };
const ua = new JsSIP.UA({
  sockets: [new JsSIP.WebSocketInterface(url)],
  uri,
  password,
  register: false,
  register_expires: 120,
  connection_recovery_min_interval: 1,
  connection_recovery_max_interval: 2,
});
let session = null;
ua.on('connected', () => tell('connected'));
ua.on('disconnected', () => tell('disconnected'));
ua.on('registered', () => tell('registered'));
ua.on('registrationFailed', (event) => tell('refused', event.response ? event.response.status_code : event.cause));
ua.on('newRTCSession', (event) => {
  session = event.session;
  session.on('confirmed', () => tell('established'));
  session.on('ended', (how) => tell('ended', how.originator));
  session.on('failed', (how) => tell('failed', how.message ? how.message.status_code : how.cause));
  if (event.originator === 'remote') {
    tell('incoming');
    session.answer({ mediaStream: stream });
  }
});
ua.start();

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const [command, argument] = line.split(' ');
  switch (command) {
    case 'register': ua.register(); break;
    case 'call': ua.call(argument, { mediaStream: stream }); break;
    case 'hangup': session.terminate(); break;
    case 'quit': ua.stop(); setTimeout(() => process.exit(0), 300); break;
    default: tell('unknown', command);
  }
}).on('close', () => process.exit(0));
