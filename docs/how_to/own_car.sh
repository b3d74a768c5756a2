# A log of your car, driven as always, with nobody attacking it. Here a generated one stands in for it.
colonnade generate can --vehicle 2 --seconds "${SECONDS_DRIVEN:-600}" --out my_drive.log

# Attacks are injected into copies of it. The full number of steps takes minutes on one core.
colonnade train can_ids --model ours --capture my_drive.log --steps "${STEPS:-24000}" --out my_models

# Another drive of the same car, attacked: the judge must not see what it was trained on.
colonnade generate can --vehicle 2 --seconds 5 --seed 7 --attacks dos,fuzzing --out attacked.csv

# The simulated board takes the new weights through registers. Exit code 1 means: there were alerts.
colonnade ids --source attacked.csv --model my_models/can_ids_ours_my_drive.onnx --board sim \
    --threshold 8 --sink jsonl:alerts.jsonl || test $? -eq 1
