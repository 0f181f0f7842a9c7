// What options alone do not explain, one topic a text. See help.h.
#include "native/help.h"

#include <fmt/format.h>

#include "engine/control/commands/command.h"

namespace viv::native {

namespace {

struct Topic {
    std::string_view name;
    std::string_view summary;
    std::string_view text;  // empty: the monitor's commands, which describe themselves
};

constexpr Topic topics[] = {
    {"keys", "keys on the terminal",
     "While viv run has the terminal, every key goes to the guest, except after Ctrl-A:\n"
     "  Ctrl-A x       quit: the machine is switched off at once\n"
     "  Ctrl-A c       to the monitor and back\n"
     "  Ctrl-A h       help\n"
     "  Ctrl-A Ctrl-A  sends Ctrl-A\n"},
    {"script", "viv run without a terminal",
     "With standard input from a file or pipe, viv run types it into the console line by line, each when the guest\n"
     "seems to wait for it. At its end comes Ctrl-D, which ends the shell; a guest of the catalogue then powers off.\n"
     "If the guest stays on and silent for a minute, its power button is pressed; if that does not help, viv ends with "
     "exit code 1.\n"
     "For commands and their exit codes, viv exec is the better tool.\n"},
    {"serial", "where serial ports and monitors end",
     "  stdio                      standard input and output\n"
     "  null                       nowhere (serial ports only)\n"
     "  file:F                     output to a file (serial ports only)\n"
     "  tcp:HOST:PORT              serial ports connect there; monitors listen there\n"
     "  tcp:HOST:PORT,server       serial ports listen there\n"
     "  unix:PATH, unix:PATH,server  the same with a Unix socket, open to this user only\n"
     "No HOST means 127.0.0.1. One client at a time; output while there is none is dropped.\n"
     "Whoever reaches a monitor or gdb port owns the machine and can read and write files as you: do not offer it to a "
     "network.\n"},
    {"disk", "disk images",
     "--disk F or --disk file=F,key=value,...  (a comma inside a value is written twice)\n"
     "  readonly=on   the guest cannot write; needs no permission to write\n"
     "  snapshot=on   what the guest writes is kept in memory and forgotten at the end; a saved machine has it in its "
     "file\n"
     "  format=NAME   the image's format, instead of what its first bytes say; raw: the bytes are the disk's. A fixed "
     "VHD\n"
     "                image (vpc) shows at its end only and is opened when its format is said\n"
     "  backing=off   an image that names another file below it is refused; backing=web: it may name a URL as well\n"
     "  data-file=D   the file that has a qcow2 image's data, which may be anywhere; what the image itself names must "
     "be "
     "in\n"
     "                the image's folder\n"
     "  key-file=K    the passphrase of an encrypted image (qcow2, or format=luks) is all that is in the file K, a "
     "last\n"
     "                newline too; fd:N: what comes from the open descriptor N\n"
     "  overlay=FILE  what the guest writes goes to this qcow2 image over F, which is made if it is missing\n"
     "  serial=TEXT   the serial number that the guest sees\n"
     "F may be a URL (http, https): NAME.disk of a folder that viv-img publish has made, or a raw or qcow2 image on a "
     "server\n"
     "that gives parts of files. What is read is fetched then; chunks are kept with your caches. Needs readonly=on, "
     "snapshot=on or overlay=FILE.\n"
     "The first --disk is the first disk of the guest, after those that a guest of the catalogue brings along.\n"},
    {"share", "sharing a host folder",
     "--share DIR:TAG gives the guest the folder DIR as a 9p file system, --share DIR:TAG:ro without the right to "
     "write.\n"
     "Guests of the catalogue mount it at /mnt/TAG; others with: mount -t 9p -o trans=virtio,version=9p2000.L TAG "
     "/mnt\n"
     "The guest acts in it with your rights, and reaches nothing outside it.\n"},
    {"device", "devices by name",
     "--device NAME,key=value plugs in any device of viv list devices. Besides its own properties:\n"
     "  file=F        the image of a disk, with format, snapshot and readonly as for --disk\n"
     "  folder=DIR    the folder of a 9p device, with readonly\n"
     "  net=KIND      what a network device is connected to, as for --net\n"},
    {"net", "networks",
     "--net KIND,key=value,... is a network card and where its cable leads; each further --net is a further card.\n"
     "  --net user       NAT by this program, without privilege; also what viv run and viv exec give without --net\n"
     "  --net none       no network card (the default of deterministic machines, which repeat no network)\n"
     "  --net null       a card whose cable goes nowhere\n"
     "  --net loopback   a card that gets every frame back\n"
     "  --net hub        a card on a switch inside the machine\n"
     "  --net stream     a wire to another program over TCP or a Unix socket\n"
     "  --net dgram      the same over UDP or Unix datagrams\n"
     "  --net socket     QEMU's older name for both\n"
     "  --net tap        a TAP interface of this host\n"
     "  --net vde        a port of a vde_switch of this host\n"
     "  --net websocket  a room of a relay (netbridge), with whoever else is in it\n"
     "All take mac=ADDRESS, id=NAME, queues=N (pairs: as many harts send and receive at once), queue-size=N,\n"
     "packed=on|off, offloads=on|off, host_mtu=BYTES and\n"
     "  model=DEVICE     the card: virtio (the default), e1000e (Intel's, for systems without virtio; of the above it\n"
     "                   takes mac and id), or another of viv list devices\n"
     "  capture=FILE     writes what passes, as pcapng for tcpdump and Wireshark\n"
     "  hub=NAME         plugs both the card and where it leads into the switch NAME of this machine;\n"
     "  card=off         with hub=, leaves the card out. --net hub,name=NAME is a card on it (name= is 0 if it is left "
     "out)\n"
     "\n"
     "user: the guest gets 10.0.2.15 by DHCP and fec0::/64 by IPv6's own means; 10.0.2.2 and fec0::2 are this host,\n"
     "10.0.2.3 and fec0::3 answer names. Options as of QEMU:\n"
     "  hostfwd=tcp:[HOST]:PORT-[GUEST]:PORT  a port of this host leads into the guest (or udp:). Without HOST it is\n"
     "                   127.0.0.1; 0.0.0.0 offers the guest to the network. IPv6 addresses stand in brackets\n"
     "  guestfwd=tcp:SERVER:PORT-cmd:COMMAND  a server in the guest's network; each connection starts the command\n"
     "  guestfwd=tcp:SERVER:PORT-unix:PATH    or reaches that socket of this host\n"
     "  restrict=on      the guest reaches nothing but these servers, DHCP and TFTP\n"
     "  host-loopback=off  10.0.2.2 leads nowhere. So it is without --net; with it, 10.0.2.2 reaches what listens on\n"
     "                   this host's loopback\n"
     "  tftp=FOLDER, bootfile=F, tftp-server-name=N   files for guests that boot from the network\n"
     "  net=ADDRESS/BITS, host=, dns=, dhcpstart=, ipv6-net=, ipv6-host=, ipv6-dns=   other addresses\n"
     "  ipv4=off, ipv6=off, hostname=, domainname=, dnssearch=\n"
     "\n"
     "stream, dgram, socket: QEMU's of these names are at the other end as well.\n"
     "  stream,server=on,addr.type=unix,addr.path=F          waits for one other side; without server=on it connects\n"
     "  stream,addr.type=inet,addr.host=H,addr.port=N,reconnect-ms=1000   and looks for it again and again\n"
     "  dgram,local.type=inet,local.host=H,local.port=N,remote.type=inet,remote.host=H,remote.port=N\n"
     "  dgram,local.type=unix,local.path=F,remote.type=unix,remote.path=F\n"
     "  socket,listen=[HOST]:PORT  socket,connect=HOST:PORT  socket,udp=HOST:PORT,localaddr=HOST:PORT\n"
     "  socket,mcast=GROUP:PORT[,localaddr=ADDRESS]          all who are in the group\n"
     "Without a host it is 127.0.0.1. Nothing is encrypted, and whoever reaches the place is on the guest's wire.\n"
     "\n"
     "tap: ifname=NAME is an interface prepared for you (as root: ip tuntap add dev NAME mode tap user YOU), or a new "
     "one,\n"
     "which wants privilege; br=BRIDGE puts it into a bridge. Scripts are not run.\n"
     "\n"
     "vde: sock=FOLDER is that of vde_switch -s, port=N one of its ports (any free one), group=NAME and mode=OCTAL "
     "(0700)\n"
     "say who else may use this end's socket.\n"
     "\n"
     "websocket: url=ws://HOST[:PORT]/ROOM, or wss:// with a certificate that this host trusts; several url= are tried "
     "in\n"
     "turn, again and again. token-file=F holds what `netbridge token` printed; ca-file=F is trusted instead of the\n"
     "host's own authorities. Whoever is in the room is on the guest's wire.\n"
     "\n"
     "Connections end when a machine is saved; a restored one opens new ones. --restore wants --net again where it "
     "gave\n"
     "more of this host than the default does.\n"
     "\n"
     "More cards also by --device virtio-net-pci,net=KIND (commas of KIND twice). The first has the address\n"
     "52:54:00:12:34:56, each further one the next.\n"},
    {"monitor", "commands of the monitor", ""},
    {"gdb", "debugging a guest",
     "viv run GUEST --gdb :1234 --paused, and in gdb-multiarch: target remote :1234\n"
     "CPUs are threads; break- and watchpoints, single steps and Ctrl-C work; `monitor help` lists viv's own "
     "commands.\n"
     "With --gdb stdio gdb starts viv itself: target remote | viv run GUEST --serial null --gdb stdio\n"},
    {"vnc", "the guest's display, by a VNC viewer",
     "viv run GUEST --vnc :5900, and in any viewer: 127.0.0.1:0, or 127.0.0.1:5900; unix:PATH is for tunnels.\n"
     "Where no --device is a display, virtio-gpu-pci, virtio-keyboard-pci and virtio-tablet-pci are plugged in. Linux\n"
     "shows its console there with --append console=tty0, too. One viewer at a time, without a password: who reaches\n"
     "the port has the guest's keyboard.\n"},
    {"deterministic", "runs that repeat exactly",
     "--deterministic makes guest time a function of the executed instructions, and random numbers one of --seed. The "
     "same\n"
     "options and input then give the same course on any host: --max-instructions N --print-hash shows it.\n"
     "Standard input that is no terminal is read to its end before the machine starts. Harts run in turn.\n"},
    {"save", "saving and restoring machines",
     "viv run ... --qmp unix:vm.sock, then viv save --from unix:vm.sock vm.saved, or viv run ... --save-at-end "
     "vm.saved.\n"
     "The guest goes on while it is saved. viv run --restore vm.saved starts from the file, and reads it until all of "
     "its memory is there.\n"
     "It holds memory, devices, kernel and firmware, and is checked by hash;\n"
     "viv publish vm.saved DIR makes a folder of it for any web server. viv run --restore https://HOST/DIR/ (or DIR) "
     "fetches\n"
     "what the guest touches when it touches it, and keeps what came first for the next time.\n"
     "viv publish opens it once itself to find that out for everybody: --type LINE says what they will type.\n"
     "disks and shared folders are not in it and must be given again with the same --disk, --share and --device "
     "options;\n"
     "what a disk with snapshot=on has kept in memory is in it.\n"},
    {"snapshot", "points: going back in a machine's life",
     "viv run GUEST --disk disk.qcow2 --qmp unix:vm.sock --snapshots DIR keeps points in the folder DIR, which is made "
     "if it "
     "is\n"
     "missing. A point is the machine, in a file there, and a snapshot of the same name in the image of each disk that "
     "the\n"
     "guest can write, both of one moment. Such disks must be qcow2 (viv-img convert -O qcow2), readonly=on or "
     "snapshot=on.\n"
     "  viv snapshot create --from unix:vm.sock NAME    makes one; the guest goes on meanwhile\n"
     "  viv snapshot restore --from unix:vm.sock NAME   puts the running machine and its disks back\n"
     "  viv snapshot list --from unix:vm.sock           shows them as a tree: each below the one it comes from; * is "
     "where\n"
     "                                                  the running machine comes from. --json for programs\n"
     "  viv snapshot delete --from unix:vm.sock NAME    deletes one; those that came from it stay\n"
     "Without a running viv: list --in DIR, and delete --in DIR NAME --disk disk.qcow2.\n"
     "viv run --snapshots DIR --loadvm NAME starts from a point, with the same --disk, --share and --device options; "
     "GUEST and\n"
     "what else describes the machine may be given again or left out.\n"
     "At the monitor: savevm NAME (replaces one of that name), loadvm NAME, delvm NAME, info snapshots. In QMP these "
     "too, "
     "and\n"
     "QEMU's jobs snapshot-save, snapshot-load and snapshot-delete.\n"
     "Going back discards what the guest has done since, on its disks as well: make a point first to keep it.\n"},
    {"jit", "translated code and its profile",
     "Guest code that runs often is translated to the host's: --jit off, quick or full (the default), --jit-cache "
     "SIZE.\n"
     "viv run ... --qmp unix:vm.sock, then viv info jit --from unix:vm.sock shows for each CPU how much was "
     "translated,\n"
     "why translated code came back to viv, and the hottest translations: a sample is a slice of instructions that "
     "came\n"
     "to its end within one. --json gives the same for programs; `info jit` at the monitor and query-jit in QMP "
     "too.\n"
     "For the host's instructions: viv run --perf-map GUEST, and perf record -p PID; pieces are called "
     "guest_region_PC\n"
     "and guest_block_PC, with the PC that info jit shows.\n"},
    {"exit-codes", "what viv's exit code means",
     "viv run:\n"
     "  0     the guest powered off (or reset, with --no-reboot), or Ctrl-A x\n"
     "  N     the guest ended the board's test finisher with N\n"
     "  1     viv failed, or had to switch off a guest that did not end by itself\n"
     "  2     bad input: an option, a file, a guest; nothing was started or created\n"
     "  124   --timeout\n"
     "viv exec:\n"
     "  the command's own; 128 + n if signal n killed it; 2 and 124 as above\n"
     "  125   viv failed: the guest did not boot, a copy failed; the console's end is shown\n"
     "viv lockstep:\n"
     "  0     no difference, whatever the guests ended with\n"
     "  1     a difference, which is shown on standard output\n"
     "  2     as above; also if this host has nothing to compare the interpreter with\n"
     "  125   viv failed, or the guest did not come to its command\n"},
    {"lockstep", "two machines compared while they run",
     "viv lockstep runs the machine twice at once, deterministically, and differently in one thing: --tiers. After "
     "each\n"
     "--every instructions it compares CPUs, devices and output, and less often all of memory. Where they part it "
     "does\n"
     "the run again to find the first instruction behind which they differ, and shows it: guest code, what differs, "
     "and\n"
     "the translation. Input (--input, a command) enters both at the same instruction. What the guests write to disks "
     "is\n"
     "kept in memory and forgotten; shares must be read-only, and their files must not change meanwhile.\n"},
    {"guests", "guests of the catalogue",
     "viv list guests shows them. The first use builds a guest into the cache ($XDG_CACHE_HOME/vivarium, else "
     "~/.cache/vivarium):\n"
     "packages are fetched from the distribution's archive and verified by its signatures. Later uses need no "
     "network.\n"
     "$VIVARIUM_GUESTS names another folder of recipes.\n"},
};

}  // namespace

std::string overview() {
    std::string text =
        "viv runs whole computers of other architectures.\n"
        "\n"
        "  viv run GUEST                   boot a guest to a shell in this terminal (Ctrl-A x quits)\n"
        "  viv run --kernel F [options]    boot a kernel of yours\n"
        "  viv exec GUEST -- COMMAND       run a command in a guest; its output and exit code are viv's\n"
        "  viv lockstep GUEST              run it twice at once, with and without the translator, and compare\n"
        "  viv save --from WHERE FILE      save a running machine; viv run --restore FILE goes on\n"
        "  viv snapshot create --from WHERE NAME   keep this moment, disks included; also restore, delete, list\n"
        "  viv publish FILE DIR            make a folder for a web server of it; viv run --restore URL opens it\n"
        "  viv lab FILE                    a network of several machines, started and stopped together\n"
        "  viv list machines|guests|devices\n"
        "  viv info host                   this host\n"
        "  viv info jit --from WHERE       what a running machine has translated, the hottest first\n"
        "  viv version\n"
        "  viv help COMMAND                all options of a command\n"
        "  viv help TOPIC                  one of these:\n";
    for (const auto& topic : topics) text += fmt::format("      {:14}{}\n", topic.name, topic.summary);
    return text;
}

std::string help_topic(std::string_view name) {
    for (const auto& topic : topics) {
        if (topic.name != name) continue;
        if (!topic.text.empty()) return std::string(topic.text);
        return "Ctrl-A c on the terminal, --monitor and --qmp on a socket, and `monitor` in gdb take these "
               "commands:\n\n" +
               commands_help();
    }
    return {};
}

std::vector<std::string_view> help_topic_names() {
    std::vector<std::string_view> names;
    for (const auto& topic : topics) names.push_back(topic.name);
    return names;
}

}  // namespace viv::native
