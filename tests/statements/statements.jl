using Hard
const __bodyfunction__ = Dict{Method,Any}()
function _precompile_()
    ccall(:jl_generating_output, Cint, ()) == 1 || return nothing
    Base.precompile(Tuple{typeof(Hard.unused),Int})   # time: 0.13
    isdefined(Hard, :unused) && Base.precompile(Tuple{typeof(Hard.unused),Float64})
    isdefined(Hard, :gone) && Base.precompile(Tuple{typeof(Hard.gone),Float64})
    @assert precompile(Tuple{typeof(Hard.unused),Char})
    if VERSION < v"1.0"
        precompile(Tuple{typeof(Hard.gone)})
    else
        precompile(Hard.unused, (String,)); precompile(Hard.unused,
            (Symbol,))
    end
    let fbody = try __lookup_kwbody__(which(Hard.with_keyword, (Int,))) catch missing end
        if !ismissing(fbody)
            precompile(fbody, (Int, String, typeof(Hard.with_keyword), Int))
        end
    end
    for T in (UInt8, UInt16)
        precompile(Hard.unused, (T,))
    end
end
precompile(Tuple{typeof(Hard.unused), Int8}); # a comment
precompile(Tuple{typeof(Hard.unused), Bool, Bool})
precompile(Tuple{typeof(Main.nobody)})
precompile(Tuple{typeof(Elsewhere.nobody)})
precompile(Tuple{typeof(Hard.unused)
