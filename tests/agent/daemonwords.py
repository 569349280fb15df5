"""What real time daemons said, captured in the lab; the classic ntpd's by its source."""

import json

# chronyc 4.3 on a chronyd -x that follows one server 37 ms behind, and has another that never answered.
CHRONY = (
    "0A4D0003,10.77.0.3,2,1795523347.695456300,-0.036996752,0.000000288,0.000005529,-0.679,0.008,4.396,"
    "0.000030199,0.000011690,1.0,Normal\n"
    "^,*,10.77.0.3,1,0,377,1,0.000000500,0.000000788,0.000015135\n"
    "^,?,10.77.0.250,0,2,0,4294967295,0.000000000,0.000000000,0.000000000\n"
)
CHRONY_UNSYNCHRONISED = (
    "00000000,,0,0.000000000,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,1.000000000,1.000000000,"
    "0.0,Not synchronised\n"
    "^,?,10.77.0.3,0,0,0,4294967295,0.000000000,0.000000000,0.000000000\n"
)
# The same server's local reference: no source at all.
CHRONY_LOCAL = (
    "7F7F0101,,1,1795523342.235444898,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,0.000000000,"
    "0.000000000,0.0,Normal\n"
)

# ntpsec 1.2.2 beside three servers 37 ms behind; the datagrams as they came.
NTPSEC = (
    b"\x16\x82\x00\x07\x00\x14\x00\x00\x00\x00\x01eleap=0, stratum=2, precision=-24, rootdelay=0.059, "
    b"rootdisp=37.197,\r\nrefid=10.77.0.1, reftime=0xeeb00384.fb73809f, tc=3, peer=17767,\r\n"
    b"offset=-37.000909, frequency=0.000000, sys_jitter=0.001749,\r\nclk_jitter=10.707293, "
    b'clock=0xeeb0038d.61a1d926, processor="x86_64",\r\nsystem="Linux/6.18.44-fc-v669", '
    b'version="ntpd ntpsec-1.2.2",\r\nclk_wander=0.000000, mintc=0\r\n\x00\x00\x00'
)
NTPSEC_PEERS = b"\x16\x81\x00\x08\x00\x14\x00\x00\x00\x00\x00\x0cEi\xb4\x14Eh\xb4\x14Eg\xb6\x1a"
# The same with two of the three servers silent for a minute: a013 is unreachable, b61a the system's peer.
NTPSEC_LONELY_PEERS = b"\xd6\x81\x00\x08\xc0\x16\x00\x00\x00\x00\x00\x0cEi\xa0\x13Eh\xb6\x1aEg\xa0\x13"
# Classic ntpd's variables in the order and form that ntp_control.c of 4.2.8 writes them.
CLASSIC = (
    'version="ntpd 4.2.8p15@1.3728-o Wed Sep 23 11:46:38 UTC 2020 (1)",\r\nprocessor="x86_64", '
    'system="Linux/5.10.0", leap=1, stratum=3,\r\nprecision=-23, rootdelay=19.213, rootdisp=33.110, '
    "refid=192.0.2.7,\r\nreftime=0xdf8c1b2a.5c28f5c2, clock=0xdf8c1d0e.1eb851eb, peer=61422, tc=6,\r\n"
    "mintc=3, offset=-0.103421, frequency=-12.931, sys_jitter=0.221,\r\nclk_jitter=0.048, clk_wander=0.006, "
    "tai=37, leapsec=201701010000,\r\nexpire=202106280000\r\n"
)

# busctl of systemd 252 on a timesyncd whose one server is 37 ms behind.
MESSAGE = [0, 4, 4, 1, -26, 0, 0, [127, 127, 1, 1], 1795523471875159, 1795523471838235, 1795523471838295]
MESSAGE += [1795523471875320, False, 2, 13975]
DESTINATION_US = 1795523471875320


def properties(message=tuple(MESSAGE), frequency=0):
    return json.dumps(
        {
            "type": "a{sv}",
            "data": [
                {
                    "LinkNTPServers": {"type": "as", "data": []},
                    "SystemNTPServers": {"type": "as", "data": ["10.77.0.1"]},
                    "ServerName": {"type": "s", "data": "10.77.0.1"},
                    "ServerAddress": {"type": "(iay)", "data": [2, [10, 77, 0, 1]]},
                    "PollIntervalUSec": {"type": "t", "data": 128000000},
                    "NTPMessage": {"type": "(uuuuittayttttbtt)", "data": list(message)},
                    "Frequency": {"type": "x", "data": frequency},
                }
            ],
        }
    )
