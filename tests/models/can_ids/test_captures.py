"""Finding the data folder, and reading every capture in it."""

import pytest

from models.can_ids.captures import DATA_VARIABLE, capture_path, captures_folder, data_folder
from models.can_ids.frames import Attack
from models.can_ids.readers import read

#: Frames, and attack frames, counted with zcat, wc and awk.
COUNTS = {
    "carhacking_hcrl/normal_run_data_decoded": (741_650, 0),
    "carhacking_hcrl/hzz86_Dos_20000": (10_000, 2_522),
    "carhacking_hcrl/hzz86_Fuzzy_20000": (10_000, 1_191),
    "carhacking_hcrl/royyg77_10000_unordered": (5_000, 716),
    "carhacking_hcrl/synth_reinject_DoS": (274_379, 88_319),
    "carhacking_hcrl/synth_reinject_Fuzzy": (237_070, 52_106),
    "carhacking_hcrl/synth_reinject_RPM": (228_822, 40_907),
    "daga_volvo_v40/V40_03_clean": (245_144, 0),
    "daga_volvo_v40/V40_03_PayloadFuzzing_ID1": (245_756, 612),
    "daga_volvo_v40/V40_03_PayloadFuzzing_ID145": (245_450, 306),
    "daga_volvo_v40/V40_03_SingleIDReplay_ID1": (245_756, 612),
    "road_ornl/fuzzing_attack_1.csv.gz": (49_342, 592),
    "road_ornl/fuzzing_attack_1.log.gz": (49_342, 0),
    "road_ornl/correlated_signal_attack_1.csv.gz": (81_262, 2_087),
    "road_ornl/correlated_signal_attack_1.log.gz": (81_262, 0),
    "road_ornl/max_speedometer_attack_2_masquerade": (132_380, 3_122),
    "carchallenge2020_hcrl/traindata_26985": (26_985, 13_546),
    "can_train_and_test/DoS-1": (90_169, 9_139),
    "injection_2018_unknown_vehicle/no_injection": (23_963, 0),
    "injection_2018_unknown_vehicle/inject_speed_FFF": (88_492, 8_994),
    "j1939_truck/normal": (19_957, 0),
    "j1939_truck/dos_1ms": (28_074, 0),
    "j1939_truck/tsc1": (21_568, 0),
    "j1939_truck/labeled_TSC1": (21_568, 923),
    "misc_benign/icsim_sample-can": (6_158, 0),
    "misc_benign/nissan_juke_2020-11-24": (98_222, 0),
}


@pytest.fixture
def captures():
    try:
        return captures_folder()
    except FileNotFoundError as error:
        pytest.skip(f"the captures are not here: {error}")


@pytest.mark.parametrize("name", COUNTS)
def test_a_capture_loads_with_all_its_frames(captures, name):
    capture = read(capture_path(name))
    frames, attacks = COUNTS[name]
    assert len(capture.frames) == frames
    assert (capture.frames.attack != Attack.BENIGN).sum() == attacks
    # One line of one log is no frame: a date at the end.
    assert sum(capture.dropped.values()) == name.startswith("misc_benign/nissan")
    assert capture.broken == ""


def test_every_capture_has_its_count(captures):
    there = {str(path.relative_to(captures)) for path in captures.rglob("*.gz")}
    assert there == {str(capture_path(name).relative_to(captures)) for name in COUNTS}


def test_classes_of_a_capture_with_all_of_car_hacking(captures):
    frames = read(capture_path("carhacking_hcrl/royyg77_10000_unordered")).frames
    counted = {attack: int((frames.attack == attack).sum()) for attack in Attack}
    assert counted[Attack.DOS] == 178
    assert counted[Attack.FUZZING] == 151
    assert counted[Attack.SPOOFING] == 208
    assert counted[Attack.SPOOFING_GEAR] == 179


def test_the_log_and_the_table_of_a_drive_agree(captures):
    log = read(capture_path("road_ornl/fuzzing_attack_1.log.gz")).frames
    table = read(capture_path("road_ornl/fuzzing_attack_1.csv.gz")).frames
    assert (log.timestamp == table.timestamp).all()
    assert (log.identifier == table.identifier).all()
    assert (log.data == table.data).all()


def test_the_folder_given_goes_before_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "elsewhere"))
    assert data_folder(tmp_path) == tmp_path


def test_the_environment_goes_before_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    assert data_folder() == tmp_path


def test_a_missing_folder_is_explained(tmp_path, monkeypatch):
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError, match=f"gone.*set {DATA_VARIABLE} or give --data.*generate"):
        data_folder()


def test_a_data_folder_without_captures_is_explained(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no folder 'can'"):
        captures_folder(tmp_path)


def test_a_missing_capture_is_told_with_its_neighbours(tmp_path):
    folder = tmp_path / "can" / "car"
    folder.mkdir(parents=True)
    (folder / "drive.csv.gz").touch()
    assert capture_path("car/drive", tmp_path) == folder / "drive.csv.gz"
    with pytest.raises(FileNotFoundError, match=r"no capture 'car/dive'.*'drive\.csv\.gz'"):
        capture_path("car/dive", tmp_path)
