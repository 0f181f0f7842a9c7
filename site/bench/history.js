// Made by ./dev bench from the JSON files beside it; index.html draws it.
const history_of_runs = [
 {
  "date": "2026-11-22",
  "commit": "1d60f554a",
  "file": "2026-11-22-1d60f554a",
  "means": {
   "viv interpreter": {
    "integer": 13.954291945962778,
    "floating point": 28.21630994605368,
    "memory": 17.954476561654534,
    "control flow": 14.172236604707026,
    "system": 13.946843204228973,
    "integer, memory and control flow": 15.380155483251839,
    "all": 16.29060678202619
   },
   "qemu": {
    "integer": 8.228466809378121,
    "floating point": 19.49500192390837,
    "memory": 30.23923250788067,
    "control flow": 25.860545910383873,
    "system": 20.735684254264967,
    "integer, memory and control flow": 20.031258440744676,
    "all": 20.093218915503464
   }
  },
  "against_qemu": {
   "viv interpreter": {
    "integer": 0.589672829065237,
    "floating point": 0.6909125240394848,
    "memory": 1.684216880622561,
    "control flow": 1.8247328655093726,
    "system": 1.4867654243060169,
    "integer, memory and control flow": 1.3024093587712842,
    "all": 1.233423603206284
   }
  },
  "real": {},
  "boots": {
   "viv interpreter": 3.4663495580007293,
   "qemu": 5.402895352000996
  },
  "disk_boots": {}
 },
 {
  "date": "2026-11-22",
  "commit": "dd8002df8",
  "file": "2026-11-22-dd8002df8",
  "means": {
   "viv interpreter": {
    "integer": 13.80213966264225,
    "floating point": 29.50586165209317,
    "memory": 16.908956577529917,
    "control flow": 13.259549269417871,
    "system": 13.930906523573187,
    "integer, memory and control flow": 14.644504604389642,
    "all": 15.835654470239504
   },
   "qemu": {
    "integer": 7.149313528122697,
    "floating point": 19.197208584334046,
    "memory": 21.963995133687245,
    "control flow": 23.438810658744163,
    "system": 18.94650684376876,
    "integer, memory and control flow": 16.559019065030842,
    "all": 17.299269641574316
   }
  },
  "against_qemu": {
   "viv interpreter": {
    "integer": 0.5179858850054594,
    "floating point": 0.6506235544208271,
    "memory": 1.2989562681162063,
    "control flow": 1.7676928666650809,
    "system": 1.3600340230342096,
    "integer, memory and control flow": 1.1307326203487504,
    "all": 1.0924253035506322
   }
  },
  "real": {},
  "boots": {
   "viv interpreter": 3.4649997599990456,
   "qemu": 4.603971246000583
  },
  "disk_boots": {}
 }
];
