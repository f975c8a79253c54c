included() = evaluated + 1
