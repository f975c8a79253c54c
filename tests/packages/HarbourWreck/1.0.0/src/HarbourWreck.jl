"A package whose build fails."
module HarbourWreck
end
