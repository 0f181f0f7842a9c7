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
 },
 {
  "date": "2026-11-22",
  "commit": "ddbe35163",
  "file": "2026-11-22-ddbe35163",
  "means": {
   "viv interpreter": {
    "integer": 13.650104951469078,
    "floating point": 30.120941634659815,
    "memory": 18.758804397036386,
    "control flow": 14.10252243797736,
    "system": 13.33955059360588,
    "integer, memory and control flow": 15.505734537097377,
    "all": 16.37894896137639
   },
   "viv full": {
    "integer": 3.4869581909634912,
    "floating point": 3.127833862459604,
    "memory": 6.457285575579543,
    "control flow": 7.330319397961497,
    "system": 8.130744315079635,
    "integer, memory and control flow": 5.716020779308364,
    "all": 5.663134527702881
   },
   "qemu": {
    "integer": 7.490758845671155,
    "floating point": 18.838559803683697,
    "memory": 26.75511925112881,
    "control flow": 25.326230859317768,
    "system": 21.42108278486067,
    "integer, memory and control flow": 18.53332693738704,
    "all": 19.082342300970325
   }
  },
  "against_qemu": {
   "viv interpreter": {
    "integer": 0.5487693224560132,
    "floating point": 0.6254306399905635,
    "memory": 1.4262699628850397,
    "control flow": 1.7958653120888173,
    "system": 1.6058324180072878,
    "integer, memory and control flow": 1.1952563029533472,
    "all": 1.1650529192055528
   },
   "viv full": {
    "integer": 2.148221583236524,
    "floating point": 6.022877375229196,
    "memory": 4.143400340278048,
    "control flow": 3.454996908642314,
    "system": 2.634578330686429,
    "integer, memory and control flow": 3.242347719321895,
    "all": 3.369572488102386
   }
  },
  "real": {},
  "boots": {
   "viv interpreter": 3.9192653049976798,
   "viv full": 2.3360672410053667,
   "qemu": 4.602594417003274
  },
  "disk_boots": {
   "viv interpreter": 27.04565737899975,
   "viv full": 24.891253914000117,
   "qemu": 25.517644818006374
  }
 },
 {
  "date": "2026-11-22",
  "commit": "c1245afd1",
  "file": "2026-11-22-c1245afd1",
  "means": {
   "viv interpreter": {
    "integer": 12.93768759052394,
    "floating point": 31.799974153448424,
    "memory": 17.11112853005597,
    "control flow": 13.410125017780485,
    "system": 12.362423315870789,
    "integer, memory and control flow": 14.510225867500534,
    "all": 15.531870706525751
   },
   "viv full": {
    "integer": 3.7058448379174824,
    "floating point": 3.7008179642312578,
    "memory": 6.30040953068531,
    "control flow": 6.946258935759092,
    "system": 8.930153891318993,
    "integer, memory and control flow": 5.648353651951571,
    "all": 5.838073525714987
   },
   "qemu": {
    "integer": 8.343371461006686,
    "floating point": 22.218660448217687,
    "memory": 26.317138595006824,
    "control flow": 24.994316701989202,
    "system": 20.603643247440967,
    "integer, memory and control flow": 18.88127495544801,
    "all": 19.58735381300607
   }
  },
  "against_qemu": {
   "viv interpreter": {
    "integer": 0.6448889264506349,
    "floating point": 0.6987005819879972,
    "memory": 1.5380130275323658,
    "control flow": 1.8638392012639131,
    "system": 1.666634665469688,
    "integer, memory and control flow": 1.3012392176291068,
    "all": 1.2611071894112793
   },
   "viv full": {
    "integer": 2.2514087410349557,
    "floating point": 6.003716114373379,
    "memory": 4.1770520577801635,
    "control flow": 3.5982414322793743,
    "system": 2.3071991253666733,
    "integer, memory and control flow": 3.3427926293043497,
    "all": 3.355105708540595
   }
  },
  "real": {},
  "boots": {
   "viv interpreter": 4.429112003002956,
   "viv full": 2.5681345319972024,
   "qemu": 5.239036999999371
  },
  "disk_boots": {
   "viv interpreter": 32.46152276500652,
   "viv full": 28.019034974000533,
   "qemu": 24.99852489100158
  }
 },
 {
  "date": "2026-11-22",
  "commit": "15b0744c0",
  "file": "2026-11-22-15b0744c0",
  "means": {
   "viv full": {
    "integer": 3.0178195032261623,
    "floating point": 3.6404587033182114,
    "memory": 2.919025926563115,
    "control flow": 5.36454417587991,
    "system": 5.941105689356225,
    "integer, memory and control flow": 3.675255498591815,
    "all": 4.016796309049117
   },
   "qemu": {
    "integer": 6.956079746681745,
    "floating point": 23.017836752004573,
    "memory": 20.32585158845282,
    "control flow": 21.878356921622785,
    "system": 21.341097962278816,
    "integer, memory and control flow": 15.583605727234428,
    "all": 17.355831393947792
   }
  },
  "against_qemu": {
   "viv full": {
    "integer": 2.3050019191821893,
    "floating point": 6.322784744412631,
    "memory": 6.963230920111986,
    "control flow": 4.078325427907251,
    "system": 3.592108788859355,
    "integer, memory and control flow": 4.240142143370804,
    "all": 4.320814414922717
   }
  },
  "real": {},
  "boots": {
   "viv full": 1.9297363570003654,
   "qemu": 3.920086789999914
  },
  "disk_boots": {
   "viv full": 13.855578135997348,
   "qemu": 26.461872824998864
  }
 },
 {
  "date": "2026-11-22",
  "commit": "a4de9c332",
  "file": "2026-11-22-a4de9c332",
  "means": {
   "viv full": {
    "integer": 3.088432142748155,
    "floating point": 3.295483402156694,
    "memory": 2.8015930199080583,
    "control flow": 5.5524942444402905,
    "system": 6.182662682561192,
    "integer, memory and control flow": 3.6896113566316395,
    "all": 4.007601081048435
   },
   "qemu": {
    "integer": 7.992073764775835,
    "floating point": 21.857869338124793,
    "memory": 23.77895587706464,
    "control flow": 24.94394692893331,
    "system": 23.21298467002194,
    "integer, memory and control flow": 17.972187203343893,
    "all": 19.322516183109833
   }
  },
  "against_qemu": {
   "viv full": {
    "integer": 2.5877446533969533,
    "floating point": 6.632674685546936,
    "memory": 8.487655311850043,
    "control flow": 4.492385913575629,
    "system": 3.7545287300723107,
    "integer, memory and control flow": 4.871024470108758,
    "all": 4.821466955502178
   }
  },
  "real": {},
  "boots": {
   "viv full": 2.445453432002978,
   "qemu": 6.587549137999304
  },
  "disk_boots": {
   "viv full": 19.553595883000526,
   "qemu": 37.68806050499552
  }
 },
 {
  "date": "2026-11-22",
  "commit": "1ddf8b6e7",
  "file": "2026-11-22-1ddf8b6e7",
  "means": {
   "viv interpreter": {
    "integer": 13.019280802843609,
    "floating point": 32.77072064433905,
    "memory": 11.406349983025462,
    "control flow": 14.574472859419252,
    "system": 13.715589786465287,
    "integer, memory and control flow": 12.92766010926804,
    "all": 14.6836293716953
   },
   "viv quick": {
    "integer": 4.920463697146697,
    "floating point": 5.975821529971744,
    "memory": 4.375581817760045,
    "control flow": 6.975920792895314,
    "system": 7.472674734344341,
    "integer, memory and control flow": 5.352997554952769,
    "all": 5.777459843621206
   },
   "viv full": {
    "integer": 2.755445606760568,
    "floating point": 3.060578126196034,
    "memory": 2.6250311563603703,
    "control flow": 5.463887543368528,
    "system": 6.528712681086023,
    "integer, memory and control flow": 3.472540405508908,
    "all": 3.8476948732522454
   },
   "qemu": {
    "integer": 7.940290342489617,
    "floating point": 21.404952918094445,
    "memory": 26.598236828188007,
    "control flow": 26.448396183164487,
    "system": 26.686257978385235,
    "integer, memory and control flow": 19.088612221796584,
    "all": 20.619379601685832
   }
  },
  "against_qemu": {
   "viv interpreter": {
    "integer": 0.6098870177802248,
    "floating point": 0.653173091626596,
    "memory": 2.3318797746667936,
    "control flow": 1.8147068808784605,
    "system": 1.9456879648529264,
    "integer, memory and control flow": 1.4765713253948916,
    "all": 1.404242716819896
   },
   "viv quick": {
    "integer": 1.6137280612585503,
    "floating point": 3.581926403045651,
    "memory": 6.078788589948988,
    "control flow": 3.791384244227814,
    "system": 3.57117885189562,
    "integer, memory and control flow": 3.5659669233615037,
    "all": 3.568935165244174
   },
   "viv full": {
    "integer": 2.881671960066233,
    "floating point": 6.993761320740562,
    "memory": 10.132541384791297,
    "control flow": 4.840582089809787,
    "system": 4.087522193417476,
    "integer, memory and control flow": 5.497016590941324,
    "all": 5.358891565187289
   }
  },
  "real": {},
  "boots": {
   "viv interpreter": 7.465795862008235,
   "viv quick": 4.257802602995071,
   "viv full": 4.027325615999871,
   "qemu": 9.431232832997921
  },
  "disk_boots": {
   "viv interpreter": 36.382987627002876,
   "viv quick": 19.514285145996837,
   "viv full": 30.21717625101155,
   "qemu": 74.2647210139985
  }
 },
 {
  "date": "2026-11-22",
  "commit": "8046b6663",
  "file": "2026-11-22-8046b6663",
  "means": {
   "viv full": {},
   "qemu": {}
  },
  "against_qemu": {
   "viv full": {}
  },
  "real": {
   "viv full": 2.6374637165758403
  },
  "boots": {
   "viv full": 2.544219321003766,
   "qemu": 5.9922076880029636
  },
  "disk_boots": {
   "viv full": 17.083330962996115,
   "qemu": 41.11374856000475
  }
 },
 {
  "date": "2026-11-22",
  "commit": "caaf1bacf",
  "file": "2026-11-22-caaf1bacf",
  "means": {
   "viv interpreter": {
    "integer": 12.627517805472856,
    "floating point": 33.58181918345732,
    "memory": 11.392353157484806,
    "control flow": 14.378955662257674,
    "system": 10.689855074356814,
    "integer, memory and control flow": 12.751881909764666,
    "all": 13.924434357364326
   },
   "viv quick": {
    "integer": 5.18000235397101,
    "floating point": 6.325873147484982,
    "memory": 4.690738584813523,
    "control flow": 7.258104084268303,
    "system": 5.822522220586442,
    "integer, memory and control flow": 5.648480013415081,
    "all": 5.761709713300134
   },
   "viv full": {
    "integer": 2.782125647777794,
    "floating point": 2.931921384118502,
    "memory": 2.635583346525858,
    "control flow": 5.472412655686246,
    "system": 5.318456719828851,
    "integer, memory and control flow": 3.4887384969225113,
    "all": 3.6945656042093034
   },
   "qemu": {
    "integer": 8.0357256378865,
    "floating point": 21.773259709799103,
    "memory": 25.854495009254933,
    "control flow": 26.66199565552034,
    "system": 20.113057607628996,
    "integer, memory and control flow": 19.009947739413015,
    "all": 19.540782886568877
   }
  },
  "against_qemu": {
   "viv interpreter": {
    "integer": 0.636366209232646,
    "floating point": 0.6483645091069035,
    "memory": 2.269460457541071,
    "control flow": 1.8542372813279875,
    "system": 1.8815089136125778,
    "integer, memory and control flow": 1.490756256522128,
    "all": 1.403344824289698
   },
   "viv quick": {
    "integer": 1.551297680729099,
    "floating point": 3.4419374530859232,
    "memory": 5.511817497773169,
    "control flow": 3.6734104865359143,
    "system": 3.4543548046096095,
    "integer, memory and control flow": 3.3654979205493505,
    "all": 3.3914903490298367
   },
   "viv full": {
    "integer": 2.8883403035031825,
    "floating point": 7.4262767848208675,
    "memory": 9.809780837830646,
    "control flow": 4.872073312639632,
    "system": 3.781746974200484,
    "integer, memory and control flow": 5.4489460176456594,
    "all": 5.289061010124063
   }
  },
  "real": {
   "viv interpreter": 0.6054695769301099,
   "viv quick": 1.8601792249613167,
   "viv full": 2.3738463681571873
  },
  "boots": {
   "viv interpreter": 5.330090781004401,
   "viv quick": 3.4266831950080814,
   "viv full": 3.1130941469891695,
   "qemu": 7.469160321998061
  },
  "disk_boots": {
   "viv interpreter": 35.97098423600255,
   "viv quick": 17.536751855004695,
   "viv full": 16.317073614991386,
   "qemu": 33.43262076799874
  }
 },
 {
  "date": "2026-11-23",
  "commit": "93cc5cd8a",
  "file": "2026-11-23-93cc5cd8a",
  "means": {
   "viv interpreter": {},
   "viv quick": {},
   "viv full": {},
   "qemu": {}
  },
  "against_qemu": {
   "viv interpreter": {},
   "viv quick": {},
   "viv full": {}
  },
  "real": {},
  "boots": {},
  "disk_boots": {}
 },
 {
  "date": "2026-11-23",
  "commit": "84358e323",
  "file": "2026-11-23-84358e323",
  "means": {
   "viv interpreter": {},
   "viv quick": {},
   "viv full": {},
   "qemu": {}
  },
  "against_qemu": {
   "viv interpreter": {},
   "viv quick": {},
   "viv full": {}
  },
  "real": {},
  "boots": {},
  "disk_boots": {}
 },
 {
  "date": "2026-11-23",
  "commit": "a4733b4c5",
  "file": "2026-11-23-a4733b4c5",
  "means": {
   "viv interpreter": {},
   "viv quick": {},
   "viv full": {},
   "qemu": {}
  },
  "against_qemu": {
   "viv interpreter": {},
   "viv quick": {},
   "viv full": {}
  },
  "real": {},
  "boots": {},
  "disk_boots": {}
 },
 {
  "date": "2026-11-23",
  "commit": "e4c1ab805",
  "file": "2026-11-23-e4c1ab805",
  "means": {
   "viv interpreter": {},
   "viv quick": {},
   "viv full": {},
   "qemu": {}
  },
  "against_qemu": {
   "viv interpreter": {},
   "viv quick": {},
   "viv full": {}
  },
  "real": {},
  "boots": {},
  "disk_boots": {}
 }
];
