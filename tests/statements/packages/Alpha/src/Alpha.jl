module Alpha
using Twin
run() = Twin.one(Twin.One(2))
end
