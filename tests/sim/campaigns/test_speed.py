from sim.campaigns.speed import Speed, board_speed


def test_the_speed_is_of_a_whole_copy():
    speed = board_speed(nbytes=4096, repeats=1)
    assert speed.cycles > 4096 // 8
    assert speed.cpu_seconds > 0


def test_cycles_per_second():
    assert Speed(cycles=30, cpu_seconds=0.5).cycles_per_s == 60
