"""A softphone without sound: PJSUA2. Driven by lines on standard input, it tells what happens by lines on
standard output.

usage: pjsua.py udp|tcp|tls SIP-URI USER PASSWORD PROXY-URI [AUTHORITY]
lines: register, call URI, dtmf KEYS, hangup, quit

IPv4 alone: the library of the wheel is built without IPv6.
"""

import os
import select
import sys

import pjsua2 as pj

transport, uri, user, password, proxy = sys.argv[1:6]
authority = sys.argv[6] if len(sys.argv) > 6 else ""


def tell(*words):
    print(">>", *words, flush=True)


class Call(pj.Call):
    stood = False
    ends = "remote"

    def onCallState(self, _):
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            self.stood = True
            tell("established")
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            tell("ended " + self.ends if self.stood else "failed", info.lastStatusCode)


class Account(pj.Account):
    call = None

    def onRegState(self, state):
        tell("registered" if state.code == 200 and state.expiration > 0 else "refused", state.code)

    def onIncomingCall(self, incoming):
        tell("incoming")
        self.call = Call(self, incoming.callId)
        answer = pj.CallOpParam()
        answer.statusCode = 200
        self.call.answer(answer)


endpoint = pj.Endpoint()
endpoint.libCreate()
config = pj.EpConfig()
config.uaConfig.threadCnt = 0
config.uaConfig.mainThreadOnly = True
config.logConfig.level = 4
config.logConfig.consoleLevel = 4
endpoint.libInit(config)
settings = pj.TransportConfig()
settings.boundAddress = "127.0.0.1"
if authority:
    settings.tlsConfig.CaListFile = authority
    settings.tlsConfig.verifyServer = True
endpoint.transportCreate(getattr(pj, "PJSIP_TRANSPORT_" + transport.upper()), settings)
endpoint.libStart()
endpoint.audDevManager().setNullDev()

setup = pj.AccountConfig()
setup.idUri = uri
setup.regConfig.registrarUri = proxy
setup.regConfig.registerOnAdd = False
setup.regConfig.timeoutSec = 120
setup.regConfig.retryIntervalSec = 1
setup.regConfig.firstRetryIntervalSec = 1
setup.sipConfig.proxies.append(proxy)
setup.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", user, 0, password))
setup.mediaConfig.transportConfig.boundAddress = settings.boundAddress
account = Account()
account.create(setup)
tell("ready")

unread = b""
while True:
    endpoint.libHandleEvents(10)
    if not select.select([0], [], [], 0)[0]:
        continue
    piece = os.read(0, 4096)
    if not piece:
        break
    unread += piece
    while b"\n" in unread:
        line, unread = unread.split(b"\n", 1)
        command, _, argument = line.decode().partition(" ")
        if command == "register":
            account.setRegistration(True)
        elif command == "call":
            account.call = Call(account)
            account.call.makeCall(argument, pj.CallOpParam(True))
        elif command == "dtmf":
            account.call.dialDtmf(argument)
        elif command == "hangup":
            account.call.ends = "local"
            account.call.hangup(pj.CallOpParam())
        elif command == "quit":
            os._exit(0)
        else:
            tell("unknown", command)
