println("looking for the sonar")
error("no sonar is connected")
